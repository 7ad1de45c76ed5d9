//! A LoadTest whose Pipeline does not exist, or is not ready.

use std::time::Duration;

use tailrace_crds::{
    LoadTest, Pipeline,
    conditions::{reasons, types},
    load_test::Phase,
};
use tailrace_operator::conditions::{find, is_true};

use crate::producers::{
    Run, load_test, namespace, operator, pipeline_is, play, ready_pipeline, until_finished, until_phase, yaml,
};

fn accepted(reason: &'static str) -> impl Fn(&LoadTest) -> bool {
    move |test| {
        let status = test.status.as_ref();
        status.and_then(|status| find(&status.conditions, types::ACCEPTED)).is_some_and(|found| found.reason == reason)
    }
}

#[tokio::test]
async fn a_test_without_its_pipeline_waits_says_so_once_and_starts_when_it_appears() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    load_test(&namespace, "early", 1).await;

    let waiting = namespace.until("early", "waiting", accepted(reasons::PIPELINE_NOT_FOUND)).await.status.unwrap();
    let condition = find(&waiting.conditions, types::ACCEPTED).unwrap();
    assert_eq!(condition.status, "False");
    assert!(condition.message.starts_with("Pipeline \"cifar\" does not exist"), "{}", condition.message);
    assert!(is_true(&waiting.conditions, types::RECONCILING));
    assert_eq!(waiting.phase, Phase::Queued);
    assert!(waiting.waiting_since.is_some());

    let yaml = "{apiVersion: tailrace.dev/v1alpha1, kind: Pipeline, metadata: {name: cifar}, spec: {}}";
    namespace.create_yaml::<Pipeline>(yaml).await;
    pipeline_is(&namespace, "False", "KafkaStarting", "the broker starts").await;
    let waiting = namespace.until("early", "waiting", accepted(reasons::PIPELINE_NOT_READY)).await.status.unwrap();
    // The Pipeline was there without any status for a moment, then with this one.
    let message = |test: &LoadTest| test.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default();
    let told = |test: &LoadTest| message(test).contains("is not ready: KafkaStarting: the broker starts");
    namespace.until::<LoadTest>("early", "told why", told).await;
    assert_eq!(waiting.phase, Phase::Queued);

    pipeline_is(&namespace, "True", "Checked", "an image went through").await;
    play(&namespace, "early", &[Run::of(20, 2_000)]).await;
    let finished = until_finished(&namespace, "early").await.status.unwrap();
    assert_eq!(finished.phase, Phase::Succeeded);
    assert!(is_true(&finished.conditions, types::ACCEPTED));

    namespace.until_event("early", "Normal Completed").await;
    let events = namespace.events("early").await;
    for reason in [
        "Warning PipelineNotFound",
        "Warning PipelineNotReady",
        "Normal Accepted",
        "Normal Running",
        "Normal Completed",
    ] {
        assert_eq!(events.iter().filter(|event| event.starts_with(reason)).count(), 1, "{reason}: {events:#?}");
    }
}

#[tokio::test]
async fn a_test_whose_pipeline_never_comes_fails_after_start_timeout_with_that_reason() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<LoadTest>(&yaml("alone", 1, "{closed: {}}", ", startTimeout: 2s")).await;
    let finished = until_finished(&namespace, "alone").await.status.unwrap();

    assert_eq!(finished.phase, Phase::Failed);
    for type_ in [types::FINISHED, types::STALLED] {
        assert!(is_true(&finished.conditions, type_), "{type_}");
    }
    for type_ in [types::SUCCEEDED, types::RESULTS_VALID, types::ACCEPTED] {
        let condition = find(&finished.conditions, type_).unwrap();
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", reasons::PIPELINE_NOT_FOUND));
    }
    assert!(finished.message.unwrap().ends_with("gave up after startTimeout (2s)"));
}

#[tokio::test]
async fn a_finished_test_takes_nothing_and_is_not_started_by_a_pipeline_that_comes_too_late() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<LoadTest>(&yaml("late", 1, "{closed: {}}", ", startTimeout: 1s")).await;
    let finished = until_phase(&namespace, "late", Phase::Failed).await;
    ready_pipeline(&namespace).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(namespace.get::<LoadTest>("late").await.status, finished.status);
    let pipeline: Pipeline = namespace.get("cifar").await;
    assert_eq!(pipeline.status.unwrap().active_load_test, None);
}

#[tokio::test]
async fn the_time_behind_another_test_does_not_count_as_waiting() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    ready_pipeline(&namespace).await;
    load_test(&namespace, "first", 1).await;
    until_phase(&namespace, "first", Phase::Starting).await;
    namespace.create_yaml::<LoadTest>(&yaml("second", 1, "{closed: {}}", ", startTimeout: 1s")).await;
    let queued = namespace.until("second", "queued", accepted(reasons::QUEUED)).await.status.unwrap();
    assert_eq!(queued.message.unwrap(), "waits for LoadTest \"first\" on Pipeline \"cifar\": 1 of 1 in line");
    assert_eq!(queued.waiting_since, None);

    tokio::time::sleep(Duration::from_secs(2)).await;
    play(&namespace, "first", &[Run::of(20, 2_000)]).await;
    play(&namespace, "second", &[Run::of(20, 2_000)]).await;
    assert_eq!(until_finished(&namespace, "second").await.status.unwrap().phase, Phase::Succeeded);
}
