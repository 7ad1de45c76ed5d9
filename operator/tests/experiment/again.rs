//! A round again, deletion, suspension.

use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tailrace_crds::{Experiment, LoadTest, experiment::Phase};

use crate::{
    load_tests::{End, condition, end, operator, play, sweep, until_made},
    producers::namespace,
    support::Namespace,
};

async fn patch(namespace: &Namespace, name: &str, patch: Value) -> Result<Experiment, kube::Error> {
    namespace.api().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

async fn annotate(namespace: &Namespace, name: &str, value: &str) {
    let annotation = json!({ "metadata": { "annotations": { "tailrace.dev/rerun": value } } });
    patch(namespace, name, annotation).await.unwrap();
}

async fn names(namespace: &Namespace) -> Vec<String> {
    namespace.list::<LoadTest>().await.iter().map(ResourceExt::name_any).collect()
}

#[tokio::test]
async fn deleting_an_experiment_deletes_its_tests() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    let experiment: Experiment = namespace.create_yaml(&sweep("gone", "{producers: [1, 2]}")).await;
    until_made(&namespace, "gone-1-01-1").await;
    end(&namespace, "gone-1-01-1", End::P95(1_000)).await;
    let second = until_made(&namespace, "gone-1-02-1").await;
    let owner = &second.owner_references()[0];
    assert_eq!(
        (owner.kind.as_str(), Some(&owner.uid), owner.controller),
        ("Experiment", experiment.meta().uid.as_ref(), Some(true))
    );
    assert_eq!(second.labels()["tailrace.dev/experiment"], "gone");

    namespace.delete::<Experiment>("gone").await;
    namespace.until_gone::<LoadTest>("gone-1-01-1").await;
    namespace.until_gone::<LoadTest>("gone-1-02-1").await;
}

#[tokio::test]
async fn the_annotation_begins_a_new_round_whose_tests_replace_the_last_ones() {
    let namespace = namespace().await;
    let operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&sweep("again", "{producers: [1, 2]}")).await;
    play(&namespace, "again", 1, |_| End::P95(1_000)).await;
    annotate(&namespace, "again", "once more").await;
    let (second, status) = play(&namespace, "again", 2, |_| End::P95(2_000)).await;
    assert_eq!(second, ["again-2-01-1", "again-2-02-1"]);
    assert_eq!((status.rerun.as_deref(), status.display.unwrap().p95.as_deref()), (Some("once more"), Some("2.0ms")));
    assert_eq!(names(&namespace).await, second);

    // Nobody but a new round changes what a finished one has found.
    operator.kill().await;
    let better = json!({ "display": { "done": "2/2", "p95": "0.1ms" } });
    let refused = namespace.patch_status::<Experiment>("again", better).await;
    assert!(refused.unwrap_err().to_string().contains("annotate it with tailrace.dev/rerun to run it again"));
}

#[tokio::test]
async fn an_experiment_that_runs_can_be_begun_again() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&sweep("restart", "{producers: [1, 2]}")).await;
    let begun = |experiment: &Experiment| experiment.status.as_ref().is_some_and(|status| status.round == 1);
    namespace.until::<Experiment>("restart", "in its first round", begun).await;
    annotate(&namespace, "restart", "now").await;
    namespace.until_gone::<LoadTest>("restart-1-01-1").await;
    let (second, status) = play(&namespace, "restart", 2, |_| End::P95(1_000)).await;
    assert_eq!((second.len(), status.phase), (2, Phase::Succeeded));
}

#[tokio::test]
async fn nothing_is_made_while_it_is_suspended_and_nothing_else_of_the_spec_can_be_changed() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    let suspended = sweep("later", "{producers: [1]}").replace("coolDown: 0s", "coolDown: 0s, suspend: true");
    namespace.create_yaml::<Experiment>(&suspended).await;
    let is_suspended =
        |experiment: &Experiment| experiment.status.as_ref().is_some_and(|status| status.phase == Phase::Suspended);
    namespace.until::<Experiment>("later", "suspended", is_suspended).await;
    assert!(names(&namespace).await.is_empty());

    for change in [
        json!({ "sweep": { "repetitions": 2 } }),
        json!({ "coolDown": "1s" }),
        json!({ "template": { "duration": "5s" } }),
        json!({ "sweep": null, "maxRate": { "from": 1, "to": 2 } }),
    ] {
        let refused = patch(&namespace, "later", json!({ "spec": change })).await.unwrap_err().to_string();
        assert!(
            refused.contains("cannot be changed, except suspend, abort and the history limits: create a new"),
            "{refused}"
        );
        assert!(!refused.contains("create a new LoadTest"), "{refused}");
    }
    assert!(names(&namespace).await.is_empty());
    patch(&namespace, "later", json!({ "spec": { "suspend": false } })).await.unwrap();
    let (made, _) = play(&namespace, "later", 1, |_| End::P95(1_000)).await;
    assert_eq!(made, ["later-1-01-1"]);
}

#[tokio::test]
async fn an_aborted_experiment_aborts_its_test_and_is_over() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&sweep("ended", "{producers: [1, 2]}")).await;
    until_made(&namespace, "ended-1-01-1").await;
    namespace.patch_status::<LoadTest>("ended-1-01-1", json!({ "phase": "Running" })).await.unwrap();
    patch(&namespace, "ended", json!({ "spec": { "abort": true } })).await.unwrap();
    namespace.until::<LoadTest>("ended-1-01-1", "aborted", |test| test.spec.abort).await;
    let (_, status) = play(&namespace, "ended", 1, |_| End::Aborted).await;
    assert_eq!((status.phase, status.done), (Phase::Aborted, 1));
    assert_eq!(condition(&status, "Finished"), ("True".into(), "Aborted".into()));
    assert_eq!(condition(&status, "Succeeded"), ("False".into(), "Aborted".into()));
    assert_eq!(names(&namespace).await, ["ended-1-01-1"]);
}

#[tokio::test]
async fn an_abort_waits_for_no_test_that_nobody_looks_at() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&sweep("stuck", "{producers: [1, 2]}")).await;
    until_made(&namespace, "stuck-1-01-1").await;
    patch(&namespace, "stuck", json!({ "spec": { "abort": true } })).await.unwrap();
    let over = |experiment: &Experiment| experiment.status.as_ref().is_some_and(|status| status.phase.is_final());
    let status = namespace.until::<Experiment>("stuck", "over", over).await.status.unwrap();
    assert_eq!(status.phase, Phase::Aborted);
    assert!(namespace.get::<LoadTest>("stuck-1-01-1").await.spec.abort);
}
