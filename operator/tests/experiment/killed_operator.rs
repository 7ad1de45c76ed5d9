//! An operator that is killed at any step and started again makes nothing twice and finds the same.

use futures::future::join_all;
use kube::ResourceExt;
use serde_json::Value;
use tailrace_crds::{Experiment, LoadTest, experiment::ExperimentStatus};
use tailrace_operator::experiment::controller;

use crate::{
    load_tests::{End, operator, play, sweep},
    producers::namespace,
    support::Operator,
};

/// For each of two LoadTests its creation, a status and the mark that its reports are gone, the event of the begin and
/// of one failure, the end and its event.
const WRITES: usize = 10;

fn ending(test: &LoadTest) -> End {
    if test.spec.producers == 1 { End::Missed } else { End::P95(7_000) }
}

/// All of the status but the times.
fn without_times(status: ExperimentStatus) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for time in ["startTime", "completionTime", "lastTransitionTime"] {
                    fields.remove(time);
                }
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(status).unwrap();
    strip(&mut value);
    value
}

/// Whether one operator died after so many writes, the tests in the order in which they were made, and the status once
/// another operator has gone on.
async fn killed_after(writes: usize) -> (bool, Vec<String>, Value) {
    let namespace = namespace().await;
    namespace.create_yaml::<Experiment>(&sweep("test", "{producers: [1, 2]}")).await;
    let playing = tokio::spawn({
        let namespace = namespace.clone();
        async move { play(&namespace, "test", 1, ending).await }
    });
    let died = tokio::select! {
        () = Operator::live_for(writes, &namespace, controller) => true,
        () = until_over(&namespace) => false,
    };
    let _second = operator(&namespace);
    let (names, status) = playing.await.unwrap();
    let left: Vec<_> = namespace.list::<LoadTest>().await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(left, names, "each was made once");
    (died, names, without_times(status))
}

async fn until_over(namespace: &crate::support::Namespace) {
    let over = |experiment: &Experiment| experiment.status.as_ref().is_some_and(|status| status.phase.is_final());
    namespace.until::<Experiment>("test", "over", over).await;
}

#[tokio::test]
async fn an_operator_killed_after_any_of_its_writes_makes_nothing_twice() {
    let (_, names, expected) = killed_after(usize::MAX).await;
    assert_eq!(names, ["test-1-01-1", "test-1-02-1"]);
    assert_eq!(expected["message"].as_str().unwrap().split(';').next(), Some("1 of 2 LoadTests did not succeed"));
    for (writes, (died, made, status)) in join_all((0..WRITES).map(killed_after)).await.into_iter().enumerate() {
        assert_eq!((&made, &status), (&names, &expected), "killed after {writes} writes");
        assert!(died || writes > WRITES - 3, "it made only {writes} writes");
    }
}
