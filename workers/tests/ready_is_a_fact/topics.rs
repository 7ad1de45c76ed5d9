//! Topics that go, shrink or are set to what cannot be read.

use mongodb::bson::doc;
use tailrace_wire::{Answer, PNG};

use crate::{
    SOON,
    support::{Database, Pipeline, Worker, eventually, sample},
};

/// Errors last for two seconds, and settings are looked at every second.
pub const QUICK: [&str; 2] = ["--trouble-after=2s", "--probe-interval=1s"];

/// All that a topic's `compression.type` can be.
const CODECS: [&str; 4] = ["gzip", "snappy", "lz4", "zstd"];

pub fn delete(pipeline: &Pipeline, topic: &str) {
    pipeline.administrate(async |admin, options| {
        let deleted = admin.delete_topics(&[topic], options).await.unwrap();
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    });
}

fn compress(pipeline: &Pipeline, topic: &str, codec: &str) {
    pipeline.configure(topic, "compression.type", codec);
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
fn a_topic_with_too_few_partitions_is_a_sentence_until_it_is_mended() {
    let pipeline = Pipeline::new("few", 2);
    let mut classifier = pipeline.start_classifier_with(&[&QUICK[..], &["--images-partitions=3"]].concat());
    let state = classifier.wait_until_not_ready("TooFewPartitions", SOON);
    assert_eq!(state["message"], "the topic few-images has 2 partitions, and 3 are wanted");
    assert_eq!(classifier.metric(r#"tailrace_trouble{reason="TooFewPartitions"}"#), 1.0);
    pipeline.create(3);
    ready_again(&classifier);
    classifier.wait_until_ready();
}

#[test]
fn images_in_every_codec_are_classified_and_archived_whether_the_camera_or_the_topic_compresses() {
    let (pipeline, database) = (Pipeline::new("codecs", 1), Database::start());
    let mut classifier = pipeline.start_classifier_with(&QUICK);
    let mut archive = pipeline.start_archive_with("archive", &database, &QUICK);
    classifier.wait_until_ready();
    archive.wait_until_ready();
    let mut sent: Vec<String> = Vec::new();
    for codec in CODECS {
        sent.extend(pipeline.send_compressed(codec, &format!("camera-{codec}"), 5));
    }
    for codec in CODECS {
        // The broker compresses the answers anew, too.
        compress(&pipeline, &pipeline.images(), codec);
        compress(&pipeline, &pipeline.answers(), codec);
        sent.extend(pipeline.send_compressed("none", &format!("topic-{codec}"), 5));
    }
    let answers = pipeline.read_answers(sent.len(), SOON);
    let is_label =
        |subject: &String| answers[subject].iter().all(|(_, event)| matches!(event.answer, Answer::Label(_)));
    assert!(sent.iter().all(is_label), "{answers:?}");
    for collection in ["images", "inferences"] {
        eventually("all is stored", SOON, || (database.count(collection, doc! {}) == Some(40)).then_some(()));
    }
    assert!(classifier.is_ready() && archive.is_ready());
}

/// Neither can be had from a broker that is as it should be: it takes no record and no setting with a codec that it
/// does not know. So a batch is changed on its disk, as a later broker would have written it, or a faulty disk.
#[test]
fn a_codec_that_nobody_knows_and_damaged_bytes_are_a_sentence_and_a_metric_and_not_ready() {
    const CODEC_OF_BATCH: usize = 22;
    const FIRST_COMPRESSED_BYTE: usize = 61;
    let broker = std::sync::Arc::new(crate::support::Broker::own());
    let cases = [
        ("codec-5", "none", CODEC_OF_BATCH, 5, "UnsupportedCodec"),
        ("codec-7", "zstd", CODEC_OF_BATCH, 7, "UnsupportedCodec"),
        ("damaged-zstd", "zstd", FIRST_COMPRESSED_BYTE, 0, "CorruptRecord"),
        ("damaged-gzip", "gzip", FIRST_COMPRESSED_BYTE, 0, "CorruptRecord"),
    ];
    let pipelines = cases.map(|(name, codec, ..)| {
        let pipeline = Pipeline::on(broker.clone(), name, 1);
        pipeline.send_compressed(codec, "camera", 5);
        pipeline
    });
    let bytes: Vec<_> =
        cases.iter().map(|(name, _, place, byte, _)| (format!("{name}-images"), *place, *byte)).collect();
    broker.restart_with_byte(&bytes);
    for (pipeline, (name, .., reason)) in pipelines.iter().zip(cases) {
        let mut classifier = pipeline.start_classifier_with(&QUICK);
        let state = classifier.wait_until_not_ready(reason, SOON);
        println!("{name}: {state}");
        let sentence = match reason {
            "UnsupportedCodec" => "records came in a compression that this build cannot read (it reads gzip, ",
            _ => "a record cannot be read and stands in the way: ",
        };
        assert!(state["message"].as_str().unwrap().starts_with(sentence), "{state}");
        assert!(!classifier.is_ready(), "{name}");
        assert_eq!(classifier.metric(&format!(r#"tailrace_trouble{{reason="{reason}"}}"#)), 1.0, "{name}");
        classifier.process.kill();
    }
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
