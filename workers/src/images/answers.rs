//! The answers on their way to Kafka.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use rdkafka::{
    ClientContext, Message,
    client::Client,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, OwnedMessage},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};
use tailrace_wire::{Answer, AnswerEvent};
use tokio::{runtime::Handle, task::block_in_place};

use super::{Image, in_flight::InFlight};
use crate::{
    backoff::Backoff,
    classifying::Timing,
    dead_letter::{self, DeadLetters},
    ending::Ending,
    kafka::{self, Cluster, can_heal},
};

/// How long a full producer queue is given before the next attempt.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);
/// How long a record is sent again that Kafka's client refuses at once, as it does while a topic is made anew.
const SEND_LIMIT: Duration = Duration::from_secs(60);
/// How often at most the number of partitions is looked up because of a wish that exceeds it.
const LOOK_UP_INTERVAL: Duration = Duration::from_secs(10);
/// How long a look-up may take.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(2);

/// Sends answers, and has dead letters kept. An image is finished when all that was sent for it is acknowledged.
pub struct Answers {
    producer: ThreadedProducer<Deliveries>,
    letters: DeadLetters,
    in_flight: Arc<InFlight>,
    ending: Arc<Ending>,
    runtime: Handle,
    cluster: Cluster,
    source: Source,
    /// Partitions of the answers' topic, as far as known.
    partitions: AtomicI32,
    looked_up: Mutex<Option<Instant>>,
}

/// What is counted.
#[derive(Clone, Default)]
pub struct Counted {
    /// Answers that Kafka acknowledged.
    pub answers: Counter,
    /// Records that could not be used.
    pub letters: dead_letter::Metrics,
}

/// Who answers.
pub struct Source {
    /// The CloudEvents source of the answers.
    pub name: String,
    /// The UID of the Pipeline; none outside Kubernetes.
    pub pipeline: Option<String>,
}

/// Which image a record on its way belongs to, and how many such records there are.
pub struct Ticket {
    partition: i32,
    offset: i64,
    deliveries: AtomicUsize,
}

impl Answers {
    /// Dead letters go their own way, on `runtime`.
    pub fn new(
        cluster: &Cluster,
        source: Source,
        in_flight: Arc<InFlight>,
        ending: Arc<Ending>,
        counted: Counted,
        runtime: Handle,
    ) -> anyhow::Result<Self> {
        let mut config = cluster.producer();
        config.set("queue.buffering.max.messages", "10000");
        let Counted { answers, letters } = counted;
        let deliveries = Deliveries { in_flight: in_flight.clone(), ending: ending.clone(), answered: answers };
        Ok(Self {
            letters: DeadLetters::new(cluster, letters)?,
            in_flight,
            ending,
            runtime,
            producer: config.create_with_context(deliveries).context("cannot set up Kafka's producer")?,
            cluster: cluster.clone(),
            source,
            partitions: AtomicI32::new(0),
            looked_up: Mutex::new(None),
        })
    }

    pub fn client(&self) -> &Client<Deliveries> {
        self.producer.client()
    }

    /// Takes the number of partitions of the answers' topic from a list of all topics.
    pub fn know(&self, topics: &BTreeMap<String, i32>) {
        let partitions = topics.get(&self.cluster.inferences_topic).copied().unwrap_or_default();
        self.partitions.store(partitions, Ordering::Relaxed);
    }

    /// Answers an image.
    pub fn answer(&self, image: &Image, answer: Answer, timing: Timing) -> anyhow::Result<()> {
        self.send_answer(image, &self.event(image, answer, timing), ticket(&image.record, 1))
    }

    /// Answers an image that cannot be used, and keeps its record on the dead-letter topic.
    pub fn refuse(&self, image: &Image, error: &str, timing: Timing) -> anyhow::Result<()> {
        let answer = Answer::Failed { error: error.to_owned() };
        let ticket = ticket(&image.record, 2);
        self.keep(&image.record, error, ticket.clone());
        self.send_answer(image, &self.event(image, answer, timing), ticket)
    }

    /// Letters that are on their way already may hold this thread up.
    fn keep(&self, record: &OwnedMessage, error: &str, ticket: Arc<Ticket>) {
        let room = block_in_place(|| self.runtime.block_on(self.letters.room(record)));
        let (letters, record, error) = (self.letters.clone(), record.clone(), error.to_owned());
        let (in_flight, ending) = (self.in_flight.clone(), self.ending.clone());
        self.runtime.spawn(async move {
            match letters.keep(&record, &error).await {
                Ok(()) => ticket.done(&in_flight),
                Err(error) => ending.fail(format!(
                    "Kafka did not take the dead letter of {}: {error}; the image is not committed and will be \
                     answered after a restart",
                    dead_letter::origin(&record)
                )),
            }
            drop(room);
        });
    }

    fn event(&self, Image { record, event, .. }: &Image, answer: Answer, timing: Timing) -> AnswerEvent {
        AnswerEvent {
            id: format!("{}-{}-{}", record.topic(), record.partition(), record.offset()),
            source: self.source.name.clone(),
            pipeline: self.source.pipeline.clone(),
            subject: event.subject(),
            time: Timestamp::now(),
            queue_micros: timing.queue_micros(),
            compute_micros: timing.compute_micros(),
            answer,
        }
    }

    fn send_answer(&self, image: &Image, event: &AnswerEvent, ticket: Arc<Ticket>) -> anyhow::Result<()> {
        let value = event.to_value()?;
        let mut record = BaseRecord::with_opaque_to(&self.cluster.inferences_topic, ticket)
            .key(image.event.source.as_bytes())
            .payload(value.as_slice())
            .headers(event.to_headers());
        record.partition = image.event.reply_partition.filter(|partition| self.has(*partition));
        self.send(record)
    }

    /// Whether the answers' topic has this partition. A wish for one that it does not have is answered by key.
    fn has(&self, partition: i32) -> bool {
        if partition < self.partitions.load(Ordering::Relaxed) {
            return true;
        }
        let mut looked_up = self.looked_up.lock().unwrap_or_else(PoisonError::into_inner);
        if looked_up.is_none_or(|last| last.elapsed() > LOOK_UP_INTERVAL) {
            *looked_up = Some(Instant::now());
            match block_in_place(|| kafka::topics(self.client(), LOOK_UP_LIMIT)) {
                Ok(topics) => self.know(&topics),
                Err(error) => tracing::warn!("cannot look up the partitions of the answers' topic: {error}"),
            }
        }
        partition < self.partitions.load(Ordering::Relaxed)
    }

    /// A full queue holds the thread up: it empties as Kafka acknowledges, or gives records up. What is refused at once
    /// and may be taken later is sent again for a while.
    fn send(&self, mut record: BaseRecord<'_, [u8], [u8], Arc<Ticket>>) -> anyhow::Result<()> {
        let (begun, mut backoff) = (Instant::now(), Backoff::new(Duration::from_millis(50), Duration::from_secs(2)));
        loop {
            let pause;
            (record, pause) = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => (back, QUEUE_FULL_PAUSE),
                Err((error, back)) if can_heal(&error) && begun.elapsed() < SEND_LIMIT => {
                    tracing::warn!("a record for {} is sent again: {error}", back.topic);
                    (back, backoff.delay())
                }
                Err((error, record)) => {
                    return Err(error).with_context(|| format!("cannot send to {}", record.topic));
                }
            };
            block_in_place(|| thread::sleep(pause));
        }
    }
}

fn ticket(record: &OwnedMessage, deliveries: usize) -> Arc<Ticket> {
    Arc::new(Ticket { partition: record.partition(), offset: record.offset(), deliveries: deliveries.into() })
}

/// What happens when Kafka has, or finally has not, taken a record.
pub struct Deliveries {
    in_flight: Arc<InFlight>,
    ending: Arc<Ending>,
    answered: Counter,
}

impl Ticket {
    /// One of its records was acknowledged.
    fn done(&self, in_flight: &InFlight) {
        if self.deliveries.fetch_sub(1, Ordering::AcqRel) == 1 {
            in_flight.finish(self.partition, self.offset);
        }
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Arc<Ticket>) {
        match result {
            Ok(_) => {
                self.answered.inc();
                ticket.done(&self.in_flight);
            }
            Err((error, record)) => {
                let Ticket { partition, offset, .. } = *ticket;
                self.ending.fail(format!(
                    "Kafka did not take what was sent to {} for partition {partition}, offset {offset}: {error}; \
                     the image is not committed and will be answered after a restart",
                    record.topic()
                ));
            }
        }
    }
}
