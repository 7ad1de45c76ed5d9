//! The topics of one test, who sends images to them, and who reads them.

use std::{
    collections::BTreeMap,
    io::Cursor,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use image::ImageFormat;
use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    message::{OwnedHeaders, OwnedMessage},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use tailrace_wire::{AnswerEvent, ImageEvent, PNG, RAW};

use super::{Broker, Database, Worker, worker::MODEL};

/// Topics of their own on the shared broker, made by `tailrace-worker topics`.
pub struct Pipeline {
    pub broker: Arc<Broker>,
    pub name: &'static str,
    /// Where the worker's processes reach the broker.
    address: String,
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl Pipeline {
    /// `partitions` of the images' topic and of the answers' topic.
    pub fn new(name: &'static str, partitions: i32) -> Self {
        Self::on(Broker::shared(), name, partitions)
    }

    /// The same, on this broker.
    pub fn on(broker: Arc<Broker>, name: &'static str, partitions: i32) -> Self {
        let pipeline = Self::without_topics_on(broker, name);
        let created = Worker::run(&pipeline.topics(partitions, partitions), &[]);
        assert!(created.status.success(), "{}", created.output);
        pipeline
    }

    pub fn without_topics(name: &'static str) -> Self {
        Self::without_topics_on(Broker::shared(), name)
    }

    fn without_topics_on(broker: Arc<Broker>, name: &'static str) -> Self {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", broker.address())
            .set("linger.ms", "0")
            .set("message.max.bytes", "2000000")
            .create()
            .unwrap();
        Self { address: broker.address(), broker, name, producer }
    }

    /// The same, with processes of the worker that reach the broker at another address.
    pub fn reached_at(self, address: String) -> Self {
        Self { address, ..self }
    }

    pub fn images(&self) -> String {
        format!("{}-images", self.name)
    }

    pub fn answers(&self) -> String {
        format!("{}-answers", self.name)
    }

    pub fn dead_letters(&self) -> String {
        format!("{}-dead", self.name)
    }

    /// The beginning of the command line of any part.
    pub fn arguments(&self, part: &str) -> Vec<String> {
        let cluster = [
            ("--bootstrap-servers", self.address.clone()),
            ("--images-topic", self.images()),
            ("--inferences-topic", self.answers()),
            ("--dead-letter-topic", self.dead_letters()),
        ];
        let flags = cluster.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]);
        [part.to_owned()].into_iter().chain(flags).collect()
    }

    /// The command line of `topics`.
    pub fn topics(&self, images: i32, answers: i32) -> Vec<String> {
        let partitions = [format!("--images-partitions={images}"), format!("--inferences-partitions={answers}")];
        self.arguments("topics").into_iter().chain(partitions).collect()
    }

    /// Makes the topics, where they are missing.
    pub fn create(&self, partitions: i32) {
        let created = Worker::run(&self.topics(partitions, partitions), &[]);
        assert!(created.status.success(), "{}", created.output);
    }

    /// Does something with the broker's administration.
    pub fn administrate<T>(&self, work: impl AsyncFnOnce(&AdminClient<DefaultClientContext>, &AdminOptions) -> T) -> T {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", self.broker.address()).create().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work(&admin, &AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)))))
    }

    /// Changes a setting of a topic.
    pub fn configure(&self, topic: &str, setting: &str, value: &str) {
        self.administrate(async |admin, options| {
            let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(setting, value);
            let altered = admin.alter_configs([&change], options).await.unwrap();
            assert!(altered.iter().all(Result::is_ok), "{altered:?}");
        });
    }

    /// The command line of `check`.
    pub fn check(&self, timeout: &str) -> Vec<String> {
        self.arguments("check").into_iter().chain([format!("--timeout={timeout}")]).collect()
    }

    pub fn start_classifier(&self) -> Worker {
        self.start_classifier_with(&[])
    }

    /// The same with these flags, which may name another group.
    pub fn start_classifier_with(&self, flags: &[&str]) -> Worker {
        self.start_classifier_in(&[], flags)
    }

    /// The same in this environment.
    pub fn start_classifier_in(&self, environment: &[(&str, String)], flags: &[&str]) -> Worker {
        let group = format!("--group={}", self.inference_group());
        let group = (!flags.iter().any(|flag| flag.starts_with("--group"))).then_some(group);
        let own = [format!("--model={MODEL}")].into_iter().chain(group);
        let flags = flags.iter().map(|flag| (*flag).to_owned());
        Worker::start(&self.arguments("inference").into_iter().chain(own).chain(flags).collect::<Vec<_>>(), environment)
    }

    /// The classifier's group, unless it is given another one.
    pub fn inference_group(&self) -> String {
        format!("{}-inference", self.name)
    }

    /// Starts the bridge to the inference server on this port of 127.0.0.1.
    pub fn start_bridge(&self, server: u16, flags: &[&str]) -> Worker {
        let own = [format!("--server-url=http://127.0.0.1:{server}"), format!("--group={}-inference", self.name)];
        let flags = flags.iter().map(|flag| (*flag).to_owned());
        Worker::start(
            &self.arguments("inference-consumer").into_iter().chain(own).chain(flags).collect::<Vec<_>>(),
            &[],
        )
    }

    pub fn start_archive(&self, group: &str, database: &Database) -> Worker {
        self.start_archive_with(group, database, &[])
    }

    /// The same with these flags.
    pub fn start_archive_with(&self, group: &str, database: &Database, flags: &[&str]) -> Worker {
        self.start_archive_at(group, database.uri(), flags)
    }

    /// The same with the database at this address.
    pub fn start_archive_at(&self, group: &str, uri: String, flags: &[&str]) -> Worker {
        let own = [format!("--group={}-{group}", self.name)];
        let flags = flags.iter().map(|flag| (*flag).to_owned());
        let arguments: Vec<_> = self.arguments("db-consumer").into_iter().chain(own).chain(flags).collect();
        Worker::start(&arguments, &[("TAILRACE_MONGODB_URI", uri)])
    }

    /// Sends an image of the camera `camera` and returns its subject. It goes to any partition.
    pub fn send_image(&self, id: usize, file: &[u8], content_type: &str, reply_partition: Option<i32>) -> String {
        let event = ImageEvent { content_type: content_type.to_owned(), reply_partition, ..event("camera", id) };
        self.send(&self.images(), file, Some(event.to_headers()));
        event.subject()
    }

    /// Sends a PNG image of this source. It goes to any partition.
    pub fn send_image_from(&self, source: &str, id: usize, file: &[u8]) {
        self.send(&self.images(), file, Some(event(source, id).to_headers()));
    }

    /// Sends a PNG image of a camera that keys its records by its name.
    pub fn send_image_of(&self, camera: &str, id: usize, file: &[u8]) {
        self.send_keyed(&self.images(), Some(camera), file, Some(event(camera, id).to_headers()));
    }

    /// Sends so many PNG images of the sample, with the ids from 0 on.
    pub fn send_images(&self, count: usize) {
        let files: Vec<_> = (0..10).map(sample).collect();
        for id in 0..count {
            self.send_image(id, &files[id % files.len()], PNG, None);
        }
        self.flush();
    }

    /// Sends any record.
    pub fn send(&self, topic: &str, value: &[u8], headers: Option<OwnedHeaders>) {
        self.send_keyed(topic, None, value, headers);
    }

    /// Sends images of a camera that compresses, all in one batch, with ids from 0 on; their subjects.
    pub fn send_compressed(&self, codec: &str, camera: &str, count: usize) -> Vec<String> {
        let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
            .set("bootstrap.servers", self.broker.address())
            .set("compression.type", codec)
            .set("linger.ms", "100")
            .create()
            .unwrap();
        let send = |id| {
            let event = event(camera, id);
            // Kafka's client compresses only what becomes smaller by it, and the pixels of a PNG file are not that.
            let event = ImageEvent { content_type: RAW.to_owned(), ..event };
            let topic = self.images();
            let pixels = [id as u8; 3072];
            let record = BaseRecord::<str, [u8]>::to(&topic).payload(&pixels).key(camera).headers(event.to_headers());
            producer.send(record).map_err(|(error, _)| error).unwrap();
            event.subject()
        };
        let subjects = (0..count).map(send).collect();
        producer.flush(Duration::from_secs(60)).unwrap();
        subjects
    }

    /// The same, with a key or without.
    pub fn send_keyed(&self, topic: &str, key: Option<&str>, value: &[u8], headers: Option<OwnedHeaders>) {
        let mut record = BaseRecord::<str, [u8]>::to(topic).payload(value);
        (record.key, record.headers) = (key, headers);
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    /// Sends an answer, as a classifier would.
    pub fn send_answer(&self, event: &AnswerEvent) {
        self.send(&self.answers(), &event.to_value().unwrap(), Some(event.to_headers()));
    }

    pub fn flush(&self) {
        self.producer.flush(Duration::from_secs(60)).unwrap();
    }

    /// Reads a topic from its beginning until there is enough, for at most `limit`, and then whether more comes.
    pub fn read(&self, topic: &str, limit: Duration, enough: impl Fn(&[OwnedMessage]) -> bool) -> Vec<OwnedMessage> {
        let consumer = self.reader(topic);
        let deadline = Instant::now() + limit;
        let mut records = Vec::new();
        while !enough(&records) {
            assert!(Instant::now() < deadline, "{topic} has only {} records after {limit:?}", records.len());
            records.extend(next(&consumer, Duration::from_millis(100)));
        }
        while let Some(record) = next(&consumer, Duration::from_millis(300)) {
            records.push(record);
        }
        records
    }

    /// Reads so many answers, or more, by subject. The same image may have several.
    pub fn read_answers(&self, subjects: usize, limit: Duration) -> BTreeMap<String, Vec<(i32, AnswerEvent)>> {
        let by_subject = |records: &[OwnedMessage]| {
            let mut answers: BTreeMap<String, Vec<_>> = BTreeMap::new();
            for record in records {
                let event = AnswerEvent::from_record(record).unwrap();
                answers.entry(event.subject.clone()).or_default().push((record.partition(), event));
            }
            answers
        };
        let enough = |records: &[OwnedMessage]| records.len() >= subjects && by_subject(records).len() >= subjects;
        by_subject(&self.read(&self.answers(), limit, enough))
    }

    fn reader(&self, topic: &str) -> BaseConsumer {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.broker.address())
            .set("group.id", "reader")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "10")
            .create()
            .unwrap();
        let mut assignment = TopicPartitionList::new();
        for partition in 0..self.partitions(topic).expect("the topic is there") {
            assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        consumer
    }

    /// The partitions of a topic; none where it does not exist.
    pub fn partitions(&self, topic: &str) -> Option<i32> {
        let metadata = self.producer.client().fetch_metadata(None, Duration::from_secs(5)).unwrap();
        let found = metadata.topics().iter().find(|candidate| candidate.name() == topic)?;
        Some(found.partitions().len().try_into().unwrap())
    }
}

/// What the headers of a PNG image say.
fn event(source: &str, id: usize) -> ImageEvent {
    ImageEvent {
        id: id.to_string(),
        source: source.to_owned(),
        time: Timestamp::now(),
        content_type: PNG.to_owned(),
        reply_partition: None,
    }
}

fn next(consumer: &BaseConsumer, limit: Duration) -> Option<OwnedMessage> {
    consumer.poll(limit).map(|record| record.unwrap().detach())
}

/// The file of a PNG image of the sample, by its number in CIFAR-10's test set.
pub fn sample(number: usize) -> Vec<u8> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/sample"));
    let prefix = format!("{number:04}-");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&prefix));
    std::fs::read(files.next().expect("the sample has the image")).unwrap()
}

/// The same image as a file of another format.
pub fn image_file(png: &[u8], format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image::load_from_memory(png).unwrap().into_rgb8().write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// The same image as raw pixels.
pub fn raw_pixels(png: &[u8]) -> Vec<u8> {
    image::load_from_memory(png).unwrap().into_rgb8().into_raw()
}
