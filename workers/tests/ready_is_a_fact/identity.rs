//! Two Pipelines on the same topics.

use serde_json::Value;

use crate::support::{Pipeline, Worker};

fn measure(pipeline: &Pipeline, flags: &[&str]) -> Value {
    let own = ["--rate=20", "--warmup=1s", "--duration=4s", "--drain-timeout=5s", "--dataset-source=folder"];
    let folder = concat!("--dataset=", env!("CARGO_MANIFEST_DIR"), "/../models/sample");
    let flags = own.iter().chain(flags).chain([&folder]).map(|flag| (*flag).to_owned());
    let arguments: Vec<_> = pipeline.arguments("producer").into_iter().chain(flags).collect();
    let ended = Worker::run(&arguments, &[("RUST_LOG", "off".to_owned())]);
    assert!(ended.status.success(), "{}", ended.output);
    serde_json::from_str(&ended.output).unwrap_or_else(|error| panic!("{error}: {}", ended.output))
}

#[test]
fn only_the_answers_of_the_own_pipeline_count_and_the_others_are_counted_apart() {
    let pipeline = Pipeline::new("identity", 2);
    let mut own = pipeline.start_classifier_with(&["--pipeline-uid=own", "--group=identity-own"]);
    let mut canary = pipeline.start_classifier_with(&["--pipeline-uid=canary", "--group=identity-canary"]);
    own.wait_until_ready();
    canary.wait_until_ready();

    let found = measure(&pipeline, &["--pipeline-uid=own"]);
    println!("{found}");
    let messages = &found["messages"];
    assert_eq!((&messages["received"], &messages["duplicates"]), (&80.into(), &0.into()), "{found}");
    // 20 of the warm-up and 80 of the measurement; the last ones may come too late to be seen.
    let foreign = found["foreignAnswers"].as_u64().unwrap();
    assert!((60..=100).contains(&foreign), "{found}");

    // Without an expectation every answer counts, as before.
    let found = measure(&pipeline, &[]);
    assert!(found["messages"]["duplicates"].as_u64().unwrap() >= 40, "{found}");
    assert_eq!(found["foreignAnswers"], 0, "{found}");
}
