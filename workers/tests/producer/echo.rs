//! A stand-in for the classifier: answers each image after a known time.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseRecord, DefaultProducerContext, ThreadedProducer},
};
use tailrace_wire::{Answer, AnswerEvent, ImageEvent, Label};

use crate::support::Pipeline;

pub const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// What becomes of an image.
#[derive(Clone, Copy)]
pub enum Reply {
    Right,
    Wrong,
    Error,
}

/// How the stand-in answers.
#[derive(Clone, Copy)]
pub struct Behaviour {
    /// From the sending of an image, by its number, to its answers.
    pub delay: fn(u64) -> Duration,
    /// From the sending of the image with this number on, it answers nothing for so long.
    pub stall: Option<(u64, Duration)>,
    /// The answers to an image, by its number.
    pub replies: fn(u64) -> Vec<Reply>,
}

/// An image that arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub number: u64,
    pub partition: i32,
    /// How many images waited for their answers at that time, this one included.
    pub waiting: usize,
}

pub struct Echo {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Seen>>>,
    thread: Option<JoinHandle<()>>,
}

/// An image whose answers are due at a time.
struct Waiting {
    due: Instant,
    event: ImageEvent,
    class: usize,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due.cmp(&other.due)
    }
}

impl Echo {
    pub fn start(pipeline: &Pipeline, behaviour: Behaviour) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (consumer, producer) = (consumer(pipeline), producer(pipeline));
        let (answers, stopping, log) = (pipeline.answers(), stop.clone(), seen.clone());
        let thread = thread::spawn(move || {
            let (mut waiting, mut stalled_until) = (BinaryHeap::new(), Instant::now());
            while !stopping.load(Relaxed) {
                // Without its broker it waits, as a client does.
                if let Some(Ok(record)) = consumer.poll(until_due(&waiting)) {
                    let event = ImageEvent::from_headers(record.headers().unwrap()).unwrap();
                    let number: u64 = event.id.parse().unwrap();
                    if let Some((first, length)) = behaviour.stall.filter(|(first, _)| number == *first) {
                        println!("image {first} begins a stall of {length:?}");
                        stalled_until = sent(&event) + length;
                    }
                    let class = class(&event, record.payload().unwrap());
                    let due = (sent(&event) + (behaviour.delay)(number)).max(stalled_until);
                    waiting.push(Reverse(Waiting { due, event, class }));
                    let seen = Seen { number, partition: record.partition(), waiting: waiting.len() };
                    log.lock().unwrap().push(seen);
                }
                while waiting.peek().is_some_and(|Reverse(first)| first.due <= Instant::now()) {
                    let Reverse(Waiting { event, class, .. }) = waiting.pop().unwrap();
                    for reply in (behaviour.replies)(event.id.parse().unwrap()) {
                        answer(&producer, &answers, &event, class, reply);
                    }
                }
            }
        });
        Self { stop, seen, thread: Some(thread) }
    }

    /// Everything that has arrived.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking(), "the stand-in panicked");
    }
}

/// When the image was sent, by the clock of this process, so that the way of the image takes nothing from the delay.
fn sent(event: &ImageEvent) -> Instant {
    Instant::now() - Duration::try_from(Timestamp::now().duration_since(event.time)).unwrap_or_default()
}

fn until_due(waiting: &BinaryHeap<Reverse<Waiting>>) -> Duration {
    let left = |Reverse(first): &Reverse<Waiting>| first.due.saturating_duration_since(Instant::now());
    waiting.peek().map_or(Duration::from_millis(50), left).min(Duration::from_millis(50))
}

/// The test images are of one colour, and its value modulo 10 is the class.
fn class(image: &ImageEvent, bytes: &[u8]) -> usize {
    let pixels = tailrace_classifier::decode(&image.content_type, bytes).unwrap();
    usize::from(pixels.as_bytes()[0] % 10)
}

fn answer(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    image: &ImageEvent,
    class: usize,
    reply: Reply,
) {
    let label = |index: usize| {
        let label = CLASSES[index].to_owned();
        Answer::Label(Label { label, index, confidence: 1.0, model: "echo".into(), model_sha256: "0".into() })
    };
    let event = AnswerEvent {
        id: image.id.clone(),
        source: "echo".into(),
        pipeline: None,
        subject: image.subject(),
        time: Timestamp::now(),
        queue_micros: 0,
        compute_micros: 0,
        answer: match reply {
            Reply::Right => label(class),
            Reply::Wrong => label((class + 1) % 10),
            Reply::Error => Answer::Failed { error: "asked to fail".into() },
        },
    };
    let value = event.to_value().unwrap();
    let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic)
        .partition(image.reply_partition.expect("a reply partition is asked for"))
        .headers(event.to_headers())
        .payload(&value);
    producer.send(record).map_err(|(error, _)| error).unwrap();
}

fn producer(pipeline: &Pipeline) -> ThreadedProducer<DefaultProducerContext> {
    ClientConfig::new().set("bootstrap.servers", pipeline.broker.address()).set("linger.ms", "0").create().unwrap()
}

fn consumer(pipeline: &Pipeline) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", pipeline.broker.address())
        .set("group.id", "echo")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "10")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..pipeline.partitions(&pipeline.images()).unwrap() {
        assignment.add_partition_offset(&pipeline.images(), partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    consumer
}
