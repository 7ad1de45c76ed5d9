//! An operator that is killed at any step and started again changes nothing about the result.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};
use tailrace_crds::{LoadTest, Pipeline, ProducerReport, load_test::Phase};
use tailrace_operator::load_test::controller;

use crate::{
    producers::{
        Run, namespace, operator, play, ready, ready_pipeline, report, until_finished, until_phase, until_started, yaml,
    },
    support::{Namespace, Operator},
};

/// Lock, account, role, binding, 2 reports, 2 Jobs, status and event of the acceptance, one of two ready, status and
/// event of the common start, two more phases, the end and its event, 2 Jobs deleted, the lock released.
const WRITES: usize = 20;

fn runs() -> [Run; 2] {
    [Run::of(60, 1_500), Run::with_losses(40, 9_000, 3)]
}

/// All of the status but the times.
async fn result(namespace: &Namespace, test: &str) -> Value {
    let status = until_finished(namespace, test).await.status.unwrap();
    let mut value = serde_json::to_value(status).unwrap();
    for time in ["startTime", "startingSince", "completionTime"] {
        assert!(value.as_object_mut().unwrap().remove(time).is_some(), "{time}");
    }
    for condition in value["conditions"].as_array_mut().unwrap() {
        condition.as_object_mut().unwrap().remove("lastTransitionTime");
    }
    value
}

/// A test with two producers that is measured for so long.
async fn begin(duration: &str) -> Namespace {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let yaml = yaml("test", 2, "{closed: {}}", "").replace("duration: 1s", &format!("duration: {duration}"));
    namespace.create_yaml::<LoadTest>(&yaml).await;
    namespace
}

/// The result if nobody is killed.
async fn undisturbed(duration: &str) -> Value {
    let namespace = begin(duration).await;
    let _operator = operator(&namespace);
    play(&namespace, "test", &runs()).await;
    result(&namespace, "test").await
}

/// Whether one operator died after so many writes, and the result once another one has gone on.
async fn killed_after(writes: usize) -> (bool, Value) {
    let namespace = begin("1s").await;
    let producers = tokio::spawn({
        let namespace = namespace.clone();
        async move { play(&namespace, "test", &runs()).await }
    });
    let died = tokio::select! {
        () = Operator::live_for(writes, &namespace, controller) => true,
        // It had less to write, since it saw two changes at once.
        () = until_over(&namespace) => false,
    };
    producers.abort();
    let _second = operator(&namespace);
    (died, finish(&namespace).await)
}

/// Until the lock is released, which is the last that an operator does for a test.
async fn until_over(namespace: &Namespace) {
    until_finished(namespace, "test").await;
    let free = |pipeline: &Pipeline| pipeline.status.as_ref().is_some_and(|status| status.active_load_test.is_none());
    namespace.until::<Pipeline>("cifar", "free", free).await;
}

/// Plays those producers that have not reported yet, wherever the test is.
async fn finish(namespace: &Namespace) -> Value {
    let reports = namespace.list::<ProducerReport>().await;
    let done = |index: i32| {
        let report = reports.iter().find(|report| report.spec.index == index);
        report.and_then(|report| report.status.as_ref()).is_some_and(|status| status.summed || status.result.is_some())
    };
    let left: Vec<_> = (0..).zip(runs()).filter(|(index, _)| !done(*index)).collect();
    for (index, _) in &left {
        ready(namespace, "test", *index).await;
    }
    let start = until_started(namespace, "test").await;
    for (index, run) in &left {
        report(namespace, "test", *index, run).await;
    }
    let result = result(namespace, "test").await;
    let finished: LoadTest = namespace.get("test").await;
    assert_eq!(finished.status.unwrap().start_time.unwrap().0, start, "the common start has moved");
    until_over(namespace).await;
    for index in 0..2 {
        namespace.until_gone::<Job>(&format!("test-producer-{index}")).await;
    }
    result
}

#[tokio::test]
async fn an_operator_killed_after_any_of_its_writes_changes_nothing_about_the_result() {
    let expected = undisturbed("1s").await;
    assert_eq!(expected["phase"], json!("Succeeded"));
    assert_eq!(expected["messages"]["lost"], json!(3));
    let results = join_all((0..WRITES).map(killed_after)).await;
    for (writes, (died, result)) in results.into_iter().enumerate() {
        assert_eq!(result, expected, "killed after {writes} writes");
        assert!(died || writes > WRITES - 5, "it made only {writes} writes");
    }
}

#[tokio::test]
async fn an_operator_killed_in_any_phase_changes_nothing_about_the_result() {
    let expected = undisturbed("4s").await;
    let namespace = begin("4s").await;
    let mut running = operator(&namespace);
    for phase in [Phase::Starting, Phase::WarmingUp, Phase::Running, Phase::Draining] {
        until_phase(&namespace, "test", phase).await;
        running.kill().await;
        running = operator(&namespace);
        if phase == Phase::Starting {
            ready(&namespace, "test", 0).await;
            ready(&namespace, "test", 1).await;
        }
    }
    assert_eq!(finish(&namespace).await, expected);
}

#[tokio::test]
async fn an_operator_that_was_dead_all_the_while_finds_the_result_afterwards() {
    let expected = undisturbed("1s").await;
    let namespace = begin("1s").await;
    let first = operator(&namespace);
    for index in 0..2 {
        ready(&namespace, "test", index).await;
    }
    until_started(&namespace, "test").await;
    first.kill().await;
    for (index, run) in (0..).zip(&runs()) {
        report(&namespace, "test", index, run).await;
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    let _second = operator(&namespace);
    assert_eq!(result(&namespace, "test").await, expected);
}
