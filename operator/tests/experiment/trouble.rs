//! What others do to the LoadTests of an Experiment.

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::ResourceExt;
use serde_json::json;
use tailrace_crds::{Experiment, LoadTest, experiment::Phase};

use crate::{
    load_tests::{End, condition, end, max_rate, operator, play, sweep, until_made},
    producers::{load_test, namespace},
    support::Refusal,
};

#[tokio::test]
async fn a_test_deleted_by_hand_is_made_again_unless_it_was_over() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&sweep("robbed", "{producers: [1, 2]}")).await;
    let first = until_made(&namespace, "robbed-1-01-1").await;
    namespace.delete::<LoadTest>("robbed-1-01-1").await;
    let another = |test: &LoadTest| test.metadata.uid != first.metadata.uid;
    namespace.until::<LoadTest>("robbed-1-01-1", "made again", another).await;

    end(&namespace, "robbed-1-01-1", End::P95(3_000)).await;
    until_made(&namespace, "robbed-1-02-1").await;
    namespace.delete::<LoadTest>("robbed-1-01-1").await;
    let (names, status) = play(&namespace, "robbed", 1, |_| End::P95(4_000)).await;
    assert_eq!(names, ["robbed-1-02-1"]);
    assert_eq!((status.phase, status.display.unwrap().p95.as_deref()), (Phase::Succeeded, Some("3.0ms")));
}

#[tokio::test]
async fn a_test_whose_pipeline_changed_is_made_again_twice_and_then_counts_as_failed() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&sweep("shaken", "{producers: [1, 2, 3]}")).await;
    // The first point is disturbed once, the second for ever.
    let ending = |test: &LoadTest| match (test.spec.producers, test.name_any()) {
        (1, name) if name.ends_with("-1-01-1") => End::Invalid("PipelineChanged"),
        (2, _) => End::Invalid("PipelineChanged"),
        _ => End::P95(3_000),
    };
    let (names, status) = play(&namespace, "shaken", 1, ending).await;
    let expected =
        ["shaken-1-01-1", "shaken-1-01-1-r1", "shaken-1-02-1", "shaken-1-02-1-r1", "shaken-1-02-1-r2", "shaken-1-03-1"];
    assert_eq!(names, expected);
    let rows: Vec<_> = status.points.iter().map(|point| &point.runs[0]).collect();
    let repeated = |row: usize| rows[row].repeated.iter().map(|old| old.load_test.as_str()).collect::<Vec<_>>();
    assert_eq!((rows[0].load_test.as_str(), repeated(0)), ("shaken-1-01-1-r1", vec!["shaken-1-01-1"]));
    assert_eq!(rows[0].repeated[0].message, "it is PipelineChanged");
    assert_eq!((rows[0].valid, rows[0].reason.as_deref()), (Some(true), None));
    assert_eq!(repeated(1), ["shaken-1-02-1", "shaken-1-02-1-r1"]);
    assert_eq!((rows[1].valid, rows[1].reason.as_deref()), (Some(false), Some("PipelineChanged")));
    assert!(repeated(2).is_empty());
    assert_eq!((status.done, status.phase), (3, Phase::Failed));
    namespace.until_event("shaken", "Warning TestRepeated: LoadTest \"shaken-1-01-1\" is made again: it is").await;
}

#[tokio::test]
async fn a_search_whose_pipeline_changes_once_finds_the_same() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&max_rate("search", "{from: 100, to: 400, confirmations: 1}")).await;
    let ending = |test: &LoadTest| {
        let rate = test.spec.load.open.as_ref().unwrap().rate_per_producer * 2;
        match test.name_any().contains("-r") {
            false => End::Invalid("PipelineChanged"),
            true if rate <= 200 => End::P95(3_000),
            true => End::Missed,
        }
    };
    let (names, status) = play(&namespace, "search", 1, ending).await;
    assert_eq!(status.phase, Phase::Succeeded, "{:?}", status.message);
    assert_eq!(status.max_rate.unwrap().held, Some(200));
    assert_eq!(names.iter().filter(|name| name.ends_with("-r1")).count() * 2, names.len(), "{names:?}");
}

#[tokio::test]
async fn what_keeps_one_test_from_starting_keeps_all_and_is_waited_for_once() {
    for reason in ["PipelineNotFound", "PipelineNotReady", "PipelineBusy", "BaselineNotUsable"] {
        let namespace = namespace().await;
        let _operator = operator(&namespace);
        namespace.create_yaml::<Experiment>(&sweep("alone", "{producers: [1, 2, 3, 4]}")).await;
        let (names, status) = play(&namespace, "alone", 1, |_| End::Invalid(reason)).await;
        assert_eq!(names, ["alone-1-01-1"], "{reason}");
        assert_eq!(condition(&status, "Succeeded"), ("False".into(), reason.into()));
        let message = format!("stopped, since LoadTest \"alone-1-01-1\" did not succeed: it is {reason}");
        assert_eq!((status.phase, status.message), (Phase::Failed, Some(message)));
    }
}

#[tokio::test]
async fn a_load_test_of_somebody_else_is_left_alone() {
    let namespace = namespace().await;
    let foreign = load_test(&namespace, "taken-1-01-1", 7).await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&sweep("taken", "{producers: [1]}")).await;
    let over = |experiment: &Experiment| experiment.status.as_ref().is_some_and(|status| status.phase.is_final());
    let status = namespace.until::<Experiment>("taken", "over", over).await.status.unwrap();
    assert_eq!(condition(&status, "Succeeded"), ("False".into(), "NameTaken".into()));
    let left: LoadTest = namespace.get("taken-1-01-1").await;
    assert_eq!((left.metadata.uid, left.spec), (foreign.metadata.uid, foreign.spec));
}

#[tokio::test]
async fn a_load_test_that_the_api_server_refuses_ends_the_experiment_with_its_sentence() {
    let namespace = namespace().await;
    let quota = "{apiVersion: v1, kind: ResourceQuota, metadata: {name: none}, \
                  spec: {hard: {count/loadtests.tailrace.dev: '0'}}}";
    namespace.create_yaml::<ResourceQuota>(quota).await;
    // There is no controller of quotas here, which would write this.
    let counted = json!({ "count/loadtests.tailrace.dev": "0" });
    namespace.patch_status::<ResourceQuota>("none", json!({ "hard": counted, "used": counted })).await.unwrap();

    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&sweep("refused", "{producers: [1]}")).await;
    let (names, status) = play(&namespace, "refused", 1, |_| End::P95(1_000)).await;
    assert!(names.is_empty());
    assert_eq!(condition(&status, "Succeeded"), ("False".into(), "Refused".into()));
    let message = status.message.unwrap();
    assert!(
        message.contains("could not create LoadTest refused-1-01-1") && message.contains("exceeded quota"),
        "{message}"
    );
    assert!(status.points[0].runs.is_empty());
}

#[tokio::test]
async fn a_policy_that_admits_no_load_test_ends_the_experiment_with_its_sentence() {
    let namespace = namespace().await;
    let refusal = Refusal::of(&namespace, "tailrace.dev", "loadtests").await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&max_rate("refused", "{from: 100, to: 400}")).await;
    let over = |experiment: &Experiment| experiment.status.as_ref().is_some_and(|status| status.phase.is_final());
    let status = namespace.until::<Experiment>("refused", "over", over).await.status.unwrap();
    assert_eq!(condition(&status, "Succeeded"), ("False".into(), "Refused".into()));
    let message = status.message.unwrap();
    assert!(message.contains(&Refusal::sentence("loadtests")), "{message}");
    refusal.lift().await;
}
