//! The two commands that come to an end by themselves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

mod support;

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{Database, Pipeline, Worker, free_port};

/// Runs a part and returns how it ended with what it says to Kubernetes.
fn run(arguments: &[String], environment: &[(&str, String)]) -> (support::worker::Ended, String) {
    let message = tempfile::NamedTempFile::new().unwrap();
    let path = message.path().display().to_string();
    let environment: Vec<_> =
        environment.iter().cloned().chain([("TAILRACE_TERMINATION_MESSAGE", path.clone())]).collect();
    let ended = Worker::run(arguments, &environment);
    (ended, fs::read_to_string(path).unwrap())
}

#[test]
fn topics_are_created_and_reported() {
    let pipeline = Pipeline::without_topics("created");
    let (ended, message) = run(&pipeline.topics(5, 3), &[]);
    assert!(ended.status.success(), "{}", ended.output);
    let expected = json!({"topics": [
        {"name": "created-images", "partitions": 5},
        {"name": "created-answers", "partitions": 3},
        {"name": "created-dead", "partitions": 1},
    ]});
    assert_eq!(serde_json::from_str::<Value>(&message).unwrap(), expected);
    assert_eq!(pipeline.partitions("created-images"), Some(5));
    assert_eq!(pipeline.partitions("created-answers"), Some(3));
}

#[test]
fn partitions_are_raised_and_never_lowered() {
    let pipeline = Pipeline::new("raised", 2);
    let (ended, message) = run(&pipeline.topics(4, 1), &[]);
    assert!(ended.status.success(), "{}", ended.output);
    let report: Value = serde_json::from_str(&message).unwrap();
    assert_eq!(report["topics"][0], json!({"name": "raised-images", "partitions": 4}));
    assert_eq!(report["topics"][1], json!({"name": "raised-answers", "partitions": 2}));
    assert_eq!(pipeline.partitions("raised-images"), Some(4));
}

#[test]
fn a_broker_that_is_not_there_is_explained_within_the_timeout() {
    let servers = format!("127.0.0.1:{}", free_port());
    let begun = Instant::now();
    let (ended, message) = run(&["topics", "--bootstrap-servers", &servers, "--timeout", "2s"].map(str::to_owned), &[]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(message.starts_with("Kafka does not answer within 2s:"), "{message}");
    assert!(message.ends_with("check the bootstrap servers"), "{message}");
}

#[test]
fn hosts_that_cannot_be_looked_up_are_looked_up_again_to_the_deadline() {
    let arguments = ["delete-documents", "--bootstrap-servers=127.0.0.1:1", "--source-prefix=00000000", "--timeout=2s"]
        .map(str::to_owned);
    let uri = ("TAILRACE_MONGODB_URI", "mongodb+srv://user:secret@database.invalid/".to_owned());
    let (ended, message) = run(&arguments, &[uri]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(ended.output.contains("it is tried again") && !ended.output.contains("secret"), "{}", ended.output);
    assert_eq!(message, "TAILRACE_MONGODB_URI cannot be resolved: check its host name and options");
}

#[test]
fn a_timeout_without_a_unit_is_refused_with_what_to_write() {
    let ended = Worker::run(&["topics", "--bootstrap-servers", "x:1", "--timeout", "5x"].map(str::to_owned), &[]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.output.contains("write a number with a unit, such as"), "{}", ended.output);
}

#[test]
fn a_check_passes_when_an_image_went_through_to_the_database() {
    let (pipeline, database) = (Pipeline::new("checked", 2), Database::start());
    let _classifier = pipeline.start_classifier();
    let _archive = pipeline.start_archive("archive", &database);
    let environment = [("TAILRACE_MONGODB_URI", database.uri()), ("TAILRACE_DATABASE", "iot".to_owned())];
    let (ended, message) = run(&pipeline.check("30s"), &environment);
    assert!(ended.status.success(), "{}", ended.output);
    let report: Value = serde_json::from_str(&message).unwrap();
    assert_eq!(report["model"]["name"], "resnet20");
    assert_eq!(report["model"]["sha256"].as_str().map(str::len), Some(64));
    assert!(report["millis"].as_u64().is_some_and(|millis| millis < 30_000), "{message}");
}

#[test]
fn a_check_says_at_which_step_the_image_is_stuck() {
    let pipeline = Pipeline::new("stuck", 1);
    let (ended, message) = run(&pipeline.check("1s"), &[]);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(message, "an image was sent, but no answer came on stuck-answers/0: is the classifier running?");

    let database = Database::start();
    let _classifier = pipeline.start_classifier();
    let environment = [("TAILRACE_MONGODB_URI", database.uri()), ("TAILRACE_DATABASE", "iot".to_owned())];
    let (ended, message) = run(&pipeline.check("4s"), &environment);
    assert_eq!(ended.status.code(), Some(1));
    assert!(message.starts_with("an image was answered, but not archived in images in time:"), "{message}");

    let missing = Pipeline::without_topics("missing");
    let (ended, message) = run(&missing.check("1s"), &[]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(message.starts_with("Kafka has no topic missing-images"), "{message}");
}
