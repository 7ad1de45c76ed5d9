//! The db-consumer between a genuine Kafka and a genuine database.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

mod support;

use std::{thread, time::Duration};

use image::ImageFormat;
use jiff::Timestamp;
use mongodb::bson::{Bson, doc};
use rdkafka::{Message, message::Headers};
use support::{Database, Pipeline, StubbornDatabase, Worker, eventually, image_file, raw_pixels, sample};
use tailrace_wire::{Answer, AnswerEvent, JPEG, Label, PNG, RAW, subject};

const SOON: Duration = Duration::from_secs(40);
/// Kafka notices a member that was killed after ten seconds.
const AFTER_A_KILL: Duration = Duration::from_secs(90);

fn answer(id: usize) -> AnswerEvent {
    let label =
        Label { label: "cat".into(), index: 3, confidence: 0.5, model: "resnet20".into(), model_sha256: "ab".into() };
    AnswerEvent {
        id: format!("answer-{id}"),
        source: "classifier".into(),
        pipeline: None,
        subject: subject("camera", &id.to_string()),
        time: Timestamp::now(),
        queue_micros: 20,
        compute_micros: 300,
        answer: Answer::Label(label),
    }
}

fn archived(database: &Database, count: u64, limit: Duration) {
    for collection in ["images", "inferences"] {
        eventually(&format!("{count} documents in {collection}"), limit, || {
            (database.count(collection, doc! {}) == Some(count)).then_some(())
        });
    }
}

fn records(archive: &Worker, topic: &str, outcome: &str) -> f64 {
    archive.metric(&format!("tailrace_archive_records_total{{topic=\"{topic}\",outcome=\"{outcome}\"}}"))
}

#[test]
fn an_image_and_its_answer_are_two_documents_under_one_id() {
    let (pipeline, database) = (Pipeline::new("documents", 2), Database::start());
    let _archive = pipeline.start_archive("archive", &database);
    let id = pipeline.send_image(0, &sample(0), PNG, None);
    pipeline.send_answer(&answer(0));
    pipeline.send_answer(&AnswerEvent { answer: Answer::Failed { error: "no picture".into() }, ..answer(1) });

    let image = eventually("the image is archived", SOON, || database.document("images", &id));
    assert_eq!(image.get_str("source").ok(), Some("camera"));
    assert_eq!(image.get_str("contentType").ok(), Some(PNG));
    assert_eq!(image.get_binary_generic("picture").ok(), Some(&sample(0)));
    assert_eq!(image.get_i64("size").ok(), Some(sample(0).len() as i64));
    assert!(matches!(image.get("time"), Some(Bson::DateTime(_))));
    let answer = eventually("the answer is archived", SOON, || database.document("inferences", &id));
    assert_eq!((answer.get_str("label").ok(), answer.get_i64("index").ok()), (Some("cat"), Some(3)));
    let failed = eventually("the failure is archived", SOON, || database.document("inferences", "camera/1"));
    assert_eq!(failed.get_str("error").ok(), Some("no picture"));
}

#[test]
fn images_are_archived_in_every_encoding_as_they_were_sent() {
    let (pipeline, database) = (Pipeline::new("archived-encodings", 1), Database::start());
    let _archive = pipeline.start_archive("archive", &database);
    let ship = sample(1);
    for (id, content_type, bytes) in
        [(0, PNG, ship.clone()), (1, JPEG, image_file(&ship, ImageFormat::Jpeg)), (2, RAW, raw_pixels(&ship))]
    {
        let subject = pipeline.send_image(id, &bytes, content_type, None);
        let document = eventually("the image is archived", SOON, || database.document("images", &subject));
        assert_eq!(document.get_str("contentType").ok(), Some(content_type));
        assert_eq!(document.get_binary_generic("picture").ok(), Some(&bytes), "{content_type}");
    }
}

#[test]
fn killed_and_restarted_and_delivered_again_it_stores_each_record_once() {
    const IMAGES: usize = 2_000;
    let (pipeline, database) = (Pipeline::new("again", 3), Database::start());
    pipeline.send_images(IMAGES);
    (0..IMAGES).for_each(|id| pipeline.send_answer(&answer(id)));
    pipeline.flush();

    let mut first = pipeline.start_archive("archive", &database);
    eventually("some documents", SOON, || database.count("images", doc! {}).filter(|count| *count > 0));
    first.process.kill();
    let some = database.count("images", doc! {}).unwrap() + database.count("inferences", doc! {}).unwrap();
    assert!(some < 2 * IMAGES as u64, "it was not killed in the middle of its work");
    println!("{some} documents before it was killed");
    let _second = pipeline.start_archive("archive", &database);
    archived(&database, IMAGES as u64, AFTER_A_KILL);

    // Another group is given all records from the beginning.
    let again = pipeline.start_archive("archive-again", &database);
    eventually("all records are delivered again", SOON, || {
        let duplicates = [pipeline.images(), pipeline.answers()].map(|topic| records(&again, &topic, "Duplicate"));
        (duplicates == [IMAGES as f64; 2]).then_some(())
    });
    archived(&database, IMAGES as u64, SOON);
}

#[test]
fn while_the_database_is_away_nothing_is_lost() {
    let (pipeline, mut database) = (Pipeline::new("away", 2), Database::start());
    let mut archive = pipeline.start_archive("archive", &database);
    archive.wait_until_ready();
    pipeline.send_images(100);
    (0..100).for_each(|id| pipeline.send_answer(&answer(id)));
    archived(&database, 100, SOON);

    database.stop();
    pipeline.send_image(100, &sample(0), PNG, None);
    pipeline.send_answer(&answer(100));
    eventually("it says that it is not ready", SOON, || (!archive.is_ready()).then_some(()));
    thread::sleep(Duration::from_secs(1));
    database.resume();
    archived(&database, 101, SOON);
    eventually("it is ready again", SOON, || archive.is_ready().then_some(()));
    assert_eq!(archive.process.terminate(Duration::from_secs(12)).code(), Some(0), "{}", archive.process.log());
}

#[test]
fn what_cannot_be_stored_is_kept_as_a_dead_letter_and_stops_nothing() {
    let (pipeline, database) = (Pipeline::new("unstorable", 1), Database::start());
    let mut archive = pipeline.start_archive("archive", &database);
    archive.wait_until_ready();
    pipeline.send(&pipeline.answers(), b"no answer", None);
    pipeline.send_answer(&answer(0));
    eventually("the answer behind it", SOON, || database.document("inferences", "camera/0"));

    let letters = pipeline.read(&pipeline.dead_letters(), SOON, |letters| !letters.is_empty());
    assert_eq!(letters[0].payload(), Some(&b"no answer"[..]));
    let headers: Vec<_> = letters[0].headers().unwrap().iter().map(|header| header.key.to_owned()).collect();
    assert_eq!(headers, ["tailrace_error", "tailrace_origin"]);
    assert_eq!(database.count("inferences", doc! {}), Some(1));
    assert_eq!(records(&archive, &pipeline.answers(), "DeadLettered"), 1.0);

    pipeline.send(&pipeline.answers(), &vec![7; 1_048_588 - 61 - 30], None);
    pipeline.send(&pipeline.answers(), &vec![7; 1_040_000], None);
    let letters = pipeline.read(&pipeline.dead_letters(), SOON, |letters| letters.len() >= 3);
    let sizes: Vec<_> = letters.iter().map(|letter| letter.payload().unwrap_or_default().len()).collect();
    assert_eq!(sizes, [9, 0, 1_040_000]);
    assert_eq!(archive.metric("tailrace_dead_letters_total{kept=\"Stub\"}"), 1.0);
    assert_eq!(archive.metric("tailrace_dead_letters_total{kept=\"Whole\"}"), 2.0);
}

#[test]
fn a_command_that_the_server_refuses_is_no_fault_of_a_document() {
    let (pipeline, database) = (Pipeline::new("refused", 1), StubbornDatabase::start());
    let mut archive = pipeline.start_archive_at("archive", database.uri(), &[]);
    archive.wait_until_ready();
    let refusals = [
        (2, "cannot use 'w' > 1 when a host is not replicated"),
        (22, "the message is no BSON"),
        (121, "no document passes the validation of this collection"),
        (100, "Not enough data-bearing nodes"),
    ];
    for (number, (code, message)) in refusals.into_iter().enumerate() {
        database.refuse(code, message);
        pipeline.send_images(10);
        pipeline.send_answer(&answer(number));
        let state = archive.wait_until_not_ready("DatabaseAway", SOON);
        assert!(state["message"].as_str().unwrap().contains(message), "{state}");
        assert_eq!(database.inserted(), number * 11);
        database.accept();
        eventually("all is stored", SOON, || (database.inserted() == (number + 1) * 11).then_some(()));
        eventually("it is ready again", SOON, || archive.is_ready().then_some(()));
    }
    for topic in [pipeline.images(), pipeline.answers()] {
        assert_eq!(records(&archive, &topic, "DeadLettered"), 0.0);
    }
    assert!(!archive.process.log().contains("cannot be stored"), "{}", archive.process.log());
}

#[test]
fn a_document_that_the_server_refuses_is_kept_and_stops_no_other() {
    let (pipeline, database) = (Pipeline::new("infinite", 1), Database::start());
    let mut archive = pipeline.start_archive("archive", &database);
    archive.wait_until_ready();
    let endless = |id| {
        let json = br#"{"label":"cat","index":3,"confidence":1e39,"model":"any","modelSha256":"ab"}"#;
        pipeline.send(&pipeline.answers(), json, Some(answer(id).to_headers()));
    };
    (0..3).for_each(|id| pipeline.send_answer(&answer(id)));
    endless(3);
    (4..6).for_each(|id| pipeline.send_answer(&answer(id)));
    eventually("the others are stored", SOON, || (database.count("inferences", doc! {}) == Some(5)).then_some(()));
    let letters = pipeline.read(&pipeline.dead_letters(), SOON, |letters| !letters.is_empty());
    let reason = letters[0].headers().unwrap().iter().find(|header| header.key == "tailrace_error").unwrap();
    assert!(String::from_utf8_lossy(reason.value.unwrap()).contains("infinity values are not allowed"), "{reason:?}");
    assert_eq!(records(&archive, &pipeline.answers(), "DeadLettered"), 1.0);
}

#[test]
fn a_missing_or_wrong_connection_string_is_said_without_showing_it() {
    let arguments = ["db-consumer", "--bootstrap-servers=127.0.0.1:1", "--group=x", "--http-address=127.0.0.1:0"];
    let arguments = arguments.map(str::to_owned);
    let ended = Worker::run(&arguments, &[]);
    assert!(!ended.status.success());
    assert!(ended.output.contains("TAILRACE_MONGODB_URI is not set: write"), "{}", ended.output);

    let ended = Worker::run(&arguments, &[("TAILRACE_MONGODB_URI", "mongo://user:secret@host".to_owned())]);
    assert!(!ended.status.success());
    assert!(ended.output.contains("TAILRACE_MONGODB_URI is no connection string"), "{}", ended.output);
    assert!(!ended.output.contains("secret"), "{}", ended.output);
}
