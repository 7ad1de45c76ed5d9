//! What keeps a producer waiting is in its report, and ends when it does.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};
use tailrace_crds::{LoadTest, ProducerReport, producer_report::ProducerReportStatus};
use tailrace_wire::{ImageEvent, PNG};
use tempfile::TempDir;

use crate::{
    echo::{Behaviour, Echo, Reply},
    kubernetes::{Namespace, Road, api_server},
    load_test::{LOAD_TEST, REPORT, environment},
    measured::{Measured, command_line, dataset},
    support::{Broker, Pipeline, Worker, eventually, free_port, sample},
};

const ANSWERED: Behaviour =
    Behaviour { delay: |_| Duration::from_millis(20), stall: None, replies: |_| vec![Reply::Right] };
/// The classifier's group in these tests.
const GROUP: &str = "watched";

/// A producer that works for a LoadTest and cannot be ready yet.
struct Scene {
    namespace: Namespace,
    producer: Worker,
    _road: Road,
    _dataset: TempDir,
}

impl Scene {
    async fn new(pipeline: &Pipeline, flags: &str) -> Self {
        let namespace = api_server().await.namespace().await;
        namespace.create_yaml::<LoadTest>(LOAD_TEST).await;
        namespace.create_yaml::<ProducerReport>(REPORT).await;
        let (road, dataset) = (Road::to_api_server().await, dataset());
        let flags = format!("--rate 20 --warmup 0s --duration 1s {flags}");
        let command_line = command_line(pipeline, dataset.path(), &flags);
        let producer = Worker::start(&command_line, &environment(&road, &namespace));
        Self { namespace, producer, _road: road, _dataset: dataset }
    }

    /// The report's status, as soon as it is as wanted.
    async fn report(&self, what: &str, wanted: impl Fn(&ProducerReportStatus) -> bool) -> ProducerReportStatus {
        let is_wanted = |report: &ProducerReport| report.status.as_ref().is_some_and(&wanted);
        self.namespace.until::<ProducerReport>("sweep-producer-0", what, is_wanted).await.status.unwrap()
    }

    /// What it waits for, as soon as that has this reason and this in its message.
    async fn waits(&self, reason: &str, words: &str) -> String {
        let is_wanted = |status: &ProducerReportStatus| {
            let waiting = status.waiting.as_ref();
            waiting.is_some_and(|waiting| waiting.reason == reason && waiting.message.contains(words))
        };
        let status = self.report(&format!("waiting: {reason}, {words}"), is_wanted).await;
        assert_eq!((status.ready_at.is_none(), status.failure), (reason != "CommonStart", None));
        status.waiting.unwrap().message
    }
}

#[tokio::test]
async fn a_topic_that_is_missing_is_named_until_it_is_there() {
    let pipeline = Pipeline::without_topics("waits-for-topic");
    let scene = Scene::new(&pipeline, "--ready-timeout 2m").await;
    scene.waits("NoTopic", "Kafka has no topic waits-for-topic-images").await;
    pipeline.create(1);
    scene.waits("CommonStart", "all producers").await;
}

#[tokio::test]
async fn a_lag_is_said_with_its_partition_and_offsets_as_they_change() {
    let pipeline = Pipeline::new("waits-for-lag", 1);
    (0..3).for_each(|id| drop(pipeline.send_image(id, &sample(0), "image/png", None)));
    pipeline.flush();
    let scene = Scene::new(&pipeline, &format!("--ready-timeout 2m --group-to-watch {GROUP}")).await;
    let message = scene.waits("ConsumerLag", "").await;
    let expected = "the consumer group watched is still 3 images behind on waits-for-lag-images (partition 0: offset 0 \
                    of 3): see whether the classifier runs";
    assert_eq!(message, expected);
    commit(&pipeline, 2);
    scene.waits("ConsumerLag", "1 images behind on waits-for-lag-images (partition 0: offset 2 of 3)").await;
    commit(&pipeline, 3);
    scene.waits("CommonStart", "all producers").await;
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_said_in_the_words_of_kafkas_client() {
    let address = format!("127.0.0.1:{}", free_port());
    let pipeline = Pipeline::new("waits-for-broker", 1).reached_at(address.clone());
    let mut scene = Scene::new(&pipeline, "--ready-timeout 15s").await;
    let message = scene.waits("NoAnswer", "Connection refused").await;
    assert!(message.starts_with("Kafka does not answer: ") && message.contains(&address), "{message}");
    // Its own end says the same.
    let status = scene.report("failed", |status| status.failure.is_some()).await;
    assert!(status.failure.as_ref().unwrap().contains("Connection refused"), "{:?}", status.failure);
    assert_eq!(status.waiting, None);
    assert_eq!(scene.producer.process.wait(Duration::from_secs(30)).code(), Some(1));
}

#[test]
fn the_markers_of_transactions_are_no_lag_and_a_record_between_them_is() {
    let pipeline = Pipeline::new("transactions", 1);
    let camera: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", pipeline.broker.address())
        .set("transactional.id", "camera")
        .create()
        .unwrap();
    let image = ImageEvent {
        id: "0".to_owned(),
        source: "camera".to_owned(),
        time: Timestamp::now(),
        content_type: PNG.to_owned(),
        reply_partition: Some(0),
    };
    let limit = Duration::from_secs(30);
    camera.init_transactions(limit).unwrap();
    let send = |commit: bool| {
        camera.begin_transaction().unwrap();
        let (file, headers) = (sample(0), image.to_headers());
        let record = BaseRecord::<(), [u8]>::to("transactions-images").payload(&file).headers(headers);
        camera.send(record).map_err(|(error, _)| error).unwrap();
        camera.flush(limit).unwrap();
        if commit { camera.commit_transaction(limit).unwrap() } else { camera.abort_transaction(limit).unwrap() }
    };
    // Offsets 0 and 1: a record and its marker. 2 and 3: a record that is aborted, and its marker.
    send(true);
    send(false);
    let flags = format!("--rate 20 --warmup 0s --duration 1s --ready-timeout 4s --group-to-watch {GROUP}");
    let ended = Worker::run(&command_line(&pipeline, dataset().path(), &flags), &[]);
    assert!(ended.output.contains("is still 4 images behind"), "the first is not read: {}", ended.output);

    commit(&pipeline, 1);
    let _echo = Echo::start(&pipeline, ANSWERED);
    assert_eq!(Measured::run(&pipeline, &flags).count("received"), 20);
}

#[test]
fn a_broker_that_starts_late_is_waited_for() {
    let broker = Arc::new(Broker::own());
    let pipeline = Pipeline::on(broker.clone(), "late", 1);
    let echo = Echo::start(&pipeline, ANSWERED);
    thread::scope(|scope| {
        scope.spawn(|| broker.restart(Duration::from_secs(3)));
        let begun = Instant::now();
        eventually("the broker is away", Duration::from_secs(30), || broker.is_away().then_some(()));
        let flags = "--rate 20 --warmup 0s --duration 1s --ready-timeout 2m";
        assert_eq!(Measured::run(&pipeline, flags).count("received"), 20);
        println!("it took {:?} in all, and {} images arrived", begun.elapsed(), echo.seen().len());
    });
}

/// The group has read the first partition of the images up to this offset.
fn commit(pipeline: &Pipeline, offset: i64) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", pipeline.broker.address())
        .set("group.id", GROUP)
        .create()
        .unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&pipeline.images(), 0, Offset::Offset(offset)).unwrap();
    consumer.commit(&offsets, CommitMode::Sync).unwrap();
}
