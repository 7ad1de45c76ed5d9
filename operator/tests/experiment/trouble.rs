//! What others do to the LoadTests of an Experiment.

use k8s_openapi::api::core::v1::ResourceQuota;
use serde_json::json;
use tailrace_crds::{Experiment, LoadTest, experiment::Phase};

use crate::{
    load_tests::{End, condition, end, operator, play, sweep, until_made},
    producers::{load_test, namespace},
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
