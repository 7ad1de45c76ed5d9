//! Records that Kafka deletes before they are read.

use std::time::Duration;

use mongodb::bson::doc;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use tailrace_wire::PNG;

use crate::{
    SOON,
    support::{Database, Pipeline, Worker, eventually, sample},
};

fn delete_before(pipeline: &Pipeline, topic: &str, offset: i64) {
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    pipeline.administrate(async |admin, options| admin.delete_records(&before, options).await.unwrap());
}

fn skipped(worker: &Worker, topic: &str) -> f64 {
    worker.metric(&format!("tailrace_consumer_skipped_records_total{{topic=\"{topic}\"}}"))
}

fn archived(database: &Database, count: u64) {
    eventually("documents", SOON, || (database.count("images", doc! {}) == Some(count)).then_some(()));
}

#[test]
fn what_retention_deletes_ahead_of_a_consumer_is_counted_once_and_outlives_it() {
    let (pipeline, database) = (Pipeline::new("overtaken", 1), Database::start());
    let mut archive = pipeline.start_archive("archive", &database);
    archive.wait_until_ready();
    pipeline.send_images(10);
    archived(&database, 10);
    assert_eq!(archive.process.terminate(Duration::from_secs(15)).code(), Some(0), "{}", archive.process.log());

    // Offsets 10 to 49 are deleted while nobody reads.
    (10..60).for_each(|id| drop(pipeline.send_image(id, &sample(0), PNG, None)));
    pipeline.flush();
    delete_before(&pipeline, &pipeline.images(), 50);
    let mut archive = pipeline.start_archive("archive", &database);
    archived(&database, 20);
    assert_eq!(skipped(&archive, &pipeline.images()), 40.0, "{}", archive.process.log());
    let state = archive.state();
    println!("{state}");
    assert_eq!((&state["skipped"]["records"], &state["ready"]), (&40.into(), &true.into()), "{state}");
    assert!(archive.process.log().contains("Kafka deleted 40 records of overtaken-images/0, from offset 10 on"));
    assert_eq!(archive.process.terminate(Duration::from_secs(15)).code(), Some(0), "{}", archive.process.log());

    // The group's offsets tell it to others.
    let reader = ClientConfig::new()
        .set("bootstrap.servers", pipeline.broker.address())
        .set("group.id", "overtaken-archive")
        .create()
        .unwrap();
    let reader: rdkafka::consumer::BaseConsumer = reader;
    let limit = Duration::from_secs(10);
    let committed = tailrace_worker::kafka::committed(&reader, &pipeline.images(), &[0], limit).unwrap();
    assert_eq!((committed[&0].next, committed[&0].skipped), (Some(60), 40));

    // What is deleted behind it is none of its business.
    delete_before(&pipeline, &pipeline.images(), 60);
    let archive = pipeline.start_archive("archive", &database);
    pipeline.send_image(60, &sample(0), PNG, None);
    archived(&database, 21);
    assert_eq!(skipped(&archive, &pipeline.images()), 0.0, "{}", archive.process.log());
}

#[test]
fn the_markers_of_transactions_are_no_records_that_were_skipped() {
    let pipeline = Pipeline::new("transactional", 1);
    let mut classifier = pipeline.start_classifier();
    classifier.wait_until_ready();
    let camera: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", pipeline.broker.address())
        .set("transactional.id", "camera")
        .create()
        .unwrap();
    camera.init_transactions(SOON).unwrap();
    let (topic, image) = (pipeline.images(), sample(0));
    for _ in 0..5 {
        camera.begin_transaction().unwrap();
        camera.send(BaseRecord::<(), [u8]>::to(&topic).payload(&image)).map_err(|(error, _)| error).unwrap();
        camera.commit_transaction(SOON).unwrap();
    }
    pipeline.send_image(0, &image, PNG, None);
    pipeline.read_answers(6, SOON);
    assert_eq!(skipped(&classifier, &topic), 0.0, "{}", classifier.process.log());
    assert!(classifier.state()["skipped"].is_null());
}

#[test]
fn lag_and_age_are_those_of_what_is_not_done() {
    let (pipeline, mut database) = (Pipeline::new("lagging", 2), Database::start());
    let mut archive = pipeline.start_archive_with("archive", &database, &["--trouble-after=2s"]);
    archive.wait_until_ready();
    database.stop();
    pipeline.send_images(20);
    let lag = format!("tailrace_consumer_lag_records{{topic=\"{}\"}}", pipeline.images());
    let age = "tailrace_consumer_oldest_record_age_seconds";
    eventually("twenty images wait", SOON, || (archive.metric(&lag) == 20.0).then_some(()));
    eventually("they grow old", SOON, || (archive.metric(age) >= 3.0).then_some(()));
    archive.wait_until_not_ready("DatabaseAway", SOON);
    database.resume();
    archived(&database, 20);
    eventually("nothing waits", SOON, || (archive.metric(&lag) == 0.0 && archive.metric(age) == 0.0).then_some(()));
    eventually("it is ready again", SOON, || archive.is_ready().then_some(()));
}
