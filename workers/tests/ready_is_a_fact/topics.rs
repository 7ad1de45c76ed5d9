//! Topics that go, shrink or are set to what cannot be read.

use rdkafka::admin::{AlterConfig, ResourceSpecifier};
use tailrace_wire::PNG;

use crate::{
    SOON,
    support::{Database, Pipeline, Worker, eventually, sample},
};

/// Errors last for two seconds, and settings are looked at every second.
pub const QUICK: [&str; 2] = ["--trouble-after=2s", "--probe-interval=1s"];

pub fn delete(pipeline: &Pipeline, topic: &str) {
    pipeline.administrate(async |admin, options| {
        let deleted = admin.delete_topics(&[topic], options).await.unwrap();
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    });
}

fn compress(pipeline: &Pipeline, topic: &str, codec: &str) {
    pipeline.administrate(async |admin, options| {
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("compression.type", codec);
        let altered = admin.alter_configs([&change], options).await.unwrap();
        assert!(altered.iter().all(Result::is_ok), "{altered:?}");
    });
}

fn ready_again(worker: &Worker) {
    eventually("it is ready again", SOON, || worker.is_ready().then_some(()));
}

#[test]
fn a_deleted_topic_is_named_and_when_it_is_made_again_images_are_classified() {
    let pipeline = Pipeline::new("deleted", 3);
    let mut classifier = pipeline.start_classifier_with(&[&QUICK[..], &["--broker-volume"]].concat());
    classifier.wait_until_ready();
    pipeline.send_images(30);
    pipeline.read_answers(30, SOON);

    let volume = eventually("the use of the broker's volume is said", SOON, || {
        Some(classifier.state()["volumes"]["kafka"].clone()).filter(|volume| !volume.is_null())
    });
    println!("{volume}");
    let [used, capacity] = ["usedBytes", "capacityBytes"].map(|name| volume[name].as_i64().unwrap());
    assert!(0 < used && used < capacity, "{volume}");

    delete(&pipeline, &pipeline.images());
    let state = classifier.wait_until_not_ready("TopicMissing", SOON);
    println!("{state}");
    assert!(state["message"].as_str().unwrap().contains("no topic deleted-images"), "{state}");
    let asked = classifier.get("/readyz").unwrap();
    assert!(asked.starts_with("HTTP/1.1 503") && asked.contains("no topic deleted-images"), "{asked}");
    let address = format!("--http-address=127.0.0.1:{}", classifier.port());
    let printed = Worker::run(&["ready".to_owned(), address], &[]);
    assert!(!printed.status.success() && printed.output.contains("no topic deleted-images"), "{}", printed.output);
    let said = classifier.process.log().matches("not ready: Kafka has no topic").count();
    assert_eq!(said, 1, "{}", classifier.process.log());

    pipeline.create(3);
    ready_again(&classifier);
    let sent = pipeline.send_image(1000, &sample(0), PNG, None);
    let answers = pipeline.read_answers(31, SOON);
    assert!(answers.contains_key(&sent), "the image that was sent to the new topic is not answered");
}

#[test]
fn a_topic_with_too_few_partitions_or_an_unreadable_codec_is_a_sentence_until_it_is_mended() {
    let pipeline = Pipeline::new("unreadable", 2);
    let mut classifier = pipeline.start_classifier_with(&[&QUICK[..], &["--images-partitions=3"]].concat());
    let state = classifier.wait_until_not_ready("TooFewPartitions", SOON);
    assert_eq!(state["message"], "the topic unreadable-images has 2 partitions, and 3 are wanted");
    pipeline.create(3);
    ready_again(&classifier);
    classifier.wait_until_ready();

    let database = Database::start();
    let mut archive = pipeline.start_archive_with("archive", &database, &QUICK);
    archive.wait_until_ready();
    let readable = tailrace_worker::kafka::codecs();
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        compress(&pipeline, &pipeline.images(), codec);
        for worker in [&classifier, &archive] {
            if readable.contains(codec) {
                ready_again(worker);
                continue;
            }
            let state = worker.wait_until_not_ready("UnsupportedCodec", SOON);
            println!("{state}");
            let wanted =
                format!("the topic unreadable-images has compression.type={codec}, which this build cannot read");
            assert!(state["message"].as_str().unwrap().starts_with(&wanted), "{state}");
        }
    }
    compress(&pipeline, &pipeline.images(), "producer");
    [&classifier, &archive].into_iter().for_each(ready_again);
}

#[test]
fn a_broker_that_goes_away_is_said_and_so_is_its_return() {
    let broker = std::sync::Arc::new(crate::support::Broker::with_road(
        crate::support::free_port(),
        crate::support::free_port(),
    ));
    let pipeline = Pipeline::on(broker.clone(), "gone", 1);
    let mut classifier = pipeline.start_classifier_with(&QUICK);
    classifier.wait_until_ready();
    std::thread::scope(|scope| {
        scope.spawn(|| broker.restart(std::time::Duration::from_secs(20)));
        let state = classifier.wait_until_not_ready("NoBroker", SOON);
        println!("{state}");
    });
    ready_again(&classifier);
    pipeline.send_images(1);
    pipeline.read_answers(1, SOON);
}
