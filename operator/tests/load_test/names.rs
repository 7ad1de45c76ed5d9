//! Names that are somebody else's: nothing is seized, nothing is lost, and nobody waits in silence.

use std::time::Duration;

use futures::future::join_all;
use kube::{ResourceExt, api::DeleteParams};
use tailrace_crds::{
    LoadTest, Pipeline, ProducerReport,
    conditions::{reasons, types, warnings},
    load_test::{LoadTestStatus, Phase},
};
use tailrace_operator::conditions::find;

use crate::{
    producers::{
        Run, load_test, namespace, operator, play, ready, ready_pipeline, report, until_finished, until_phase,
        until_started, yaml,
    },
    support::{Namespace, Object, owned_by},
};

/// All that the operator makes for a LoadTest of one producer called `orders`.
async fn all_objects() -> Vec<Object> {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    let uid = load_test(&namespace, "orders", 1).await.uid().unwrap();
    ready(&namespace, "orders", 0).await;
    until_started(&namespace, "orders").await;
    let mut objects = owned_by(&namespace, &uid).await;
    report(&namespace, "orders", 0, &Run::of(20, 2_000)).await;
    until_finished(&namespace, "orders").await;
    let kept = owned_by(&namespace, &uid).await;
    let new = |kept: &Object| objects.iter().all(|object| object.title() != kept.title());
    let kept: Vec<_> = kept.into_iter().filter(new).collect();
    objects.extend(kept);
    let mut kinds: Vec<_> = objects.iter().map(|object| object.resource.kind.as_str()).collect();
    kinds.sort_unstable();
    println!("a LoadTest makes {kinds:?}");
    assert!(kinds.len() >= 6, "{kinds:?}");
    objects
}

/// Of the objects of a LoadTest only its histograms are made at its end.
fn is_made_at_the_end(object: &Object) -> bool {
    object.resource.kind == "ConfigMap"
}

fn message(test: &LoadTest) -> String {
    test.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default()
}

async fn until_free(namespace: &Namespace) {
    let free = |pipeline: &Pipeline| pipeline.status.as_ref().is_some_and(|status| status.active_load_test.is_none());
    namespace.until::<Pipeline>("cifar", "free", free).await;
}

async fn ends_and_leaves_it_alone(of_operator: &Object) -> LoadTestStatus {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let foreign = of_operator.copy_to(&namespace, &[("app", "orders")]).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "orders", 1).await;
    if is_made_at_the_end(of_operator) {
        play(&namespace, "orders", &[Run::of(20, 2_000)]).await;
    }
    let status = until_finished(&namespace, "orders").await.status.unwrap();
    until_free(&namespace).await;
    foreign.is_untouched(&namespace).await;
    namespace.delete::<LoadTest>("orders").await;
    namespace.until_gone::<LoadTest>("orders").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    foreign.is_untouched(&namespace).await;
    status
}

#[tokio::test]
async fn an_object_of_somebody_else_is_neither_taken_over_nor_deleted_whatever_its_kind() {
    let objects = all_objects().await;
    let statuses = join_all(objects.iter().map(ends_and_leaves_it_alone)).await;
    for (object, status) in objects.iter().zip(statuses) {
        let expected = format!("{} exists already and belongs to somebody else", object.title());
        if is_made_at_the_end(object) {
            assert_eq!(status.phase, Phase::Succeeded);
            let warning =
                status.result.warnings.iter().find(|warning| warning.reason == warnings::HISTOGRAMS_NOT_KEPT).unwrap();
            assert!(warning.message.contains(&expected), "{}", warning.message);
            assert_eq!(status.histograms, None);
            continue;
        }
        let finished = find(&status.conditions, types::FINISHED).unwrap();
        assert_eq!(
            (status.phase, finished.reason.as_str()),
            (Phase::Failed, reasons::NAME_TAKEN),
            "{}",
            object.title()
        );
        let advice = format!("{expected}: delete or rename it, or name the LoadTest differently");
        assert_eq!(status.message.as_deref(), Some(advice.as_str()));
    }
}

/// The test waits, says for what, lets another one go before it, and starts when what is in its way is gone.
async fn is_waited_for(of_operator: &Object) {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let labels: Vec<_> =
        of_operator.object.labels().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let orphan = of_operator.copy_to(&namespace, &labels).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "orders", 1).await;
    let expected = format!("{} was left by an earlier LoadTest \"orders\"", of_operator.title());
    let told = |test: &LoadTest| message(test).starts_with(&expected);
    namespace.until::<LoadTest>("orders", &format!("told of {expected}"), told).await;

    // A Job that has not ended sends load, which others wait for.
    if of_operator.resource.kind != "Job" {
        load_test(&namespace, "behind", 1).await;
        play(&namespace, "behind", &[Run::of(20, 2_000)]).await;
        assert_eq!(until_finished(&namespace, "behind").await.status.unwrap().phase, Phase::Succeeded);
    }
    orphan.is_untouched(&namespace).await;
    orphan.delete(&namespace).await;
    play(&namespace, "orders", &[Run::of(20, 2_000)]).await;
    assert_eq!(until_finished(&namespace, "orders").await.status.unwrap().phase, Phase::Succeeded);
}

#[tokio::test]
async fn what_was_orphaned_by_an_earlier_test_is_named_and_holds_up_nobody_else() {
    let objects = all_objects().await;
    join_all(objects.iter().filter(|object| !is_made_at_the_end(object)).map(is_waited_for)).await;
}

#[tokio::test]
async fn a_finished_test_deleted_without_its_objects_and_applied_again_ends_with_a_sentence() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "orphan", 1).await;
    play(&namespace, "orphan", &[Run::of(20, 2_000)]).await;
    until_finished(&namespace, "orphan").await;
    until_free(&namespace).await;
    namespace.api::<LoadTest>().delete("orphan", &DeleteParams::orphan()).await.unwrap();
    namespace.until_gone::<LoadTest>("orphan").await;
    namespace.create_yaml::<LoadTest>(&yaml("orphan", 1, "{closed: {}}", ", startTimeout: 4s")).await;
    load_test(&namespace, "behind", 1).await;
    play(&namespace, "behind", &[Run::of(20, 2_000)]).await;
    let status = until_finished(&namespace, "orphan").await.status.unwrap();
    let message = status.message.unwrap();
    println!("{message}");
    let left = "was left by an earlier LoadTest \"orphan\" (deleted with --cascade=orphan): delete it";
    assert!(message.contains(left) && message.ends_with("gave up after startTimeout (4s)"), "{message}");
}

#[tokio::test]
async fn a_test_replaced_by_force_again_and_again_always_starts() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    for round in 0..4 {
        let test = load_test(&namespace, "again", 2).await;
        let of_this = |report: &ProducerReport| {
            report.owner_references().iter().any(|owner| Some(&owner.uid) == test.metadata.uid.as_ref())
        };
        for index in 0..2 {
            let report = format!("again-producer-{index}");
            namespace.until::<ProducerReport>(&report, "this test's", of_this).await;
            ready(&namespace, "again", index).await;
        }
        until_started(&namespace, "again").await;
        println!("round {round} has started");
        namespace.delete::<LoadTest>("again").await;
    }
}

#[tokio::test]
async fn what_the_garbage_collector_has_not_deleted_yet_is_waited_for() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "slow", 1).await;
    let name = "slow-producer-0";
    ready(&namespace, "slow", 0).await;
    // Somebody's finalizer keeps the report for a while.
    let finalizers =
        |list: serde_json::Value| kube::api::Patch::Merge(serde_json::json!({ "metadata": { "finalizers": list } }));
    let reports = namespace.api::<ProducerReport>();
    reports.patch(name, &Default::default(), &finalizers(serde_json::json!(["example.com/slow"]))).await.unwrap();
    namespace.delete::<LoadTest>("slow").await;
    let second = load_test(&namespace, "slow", 1).await;
    let told = |test: &LoadTest| message(test).contains("still to be deleted by the garbage collector");
    namespace.until::<LoadTest>("slow", "told what it waits for", told).await;
    let holder = namespace.get::<Pipeline>("cifar").await.status.unwrap().active_load_test;
    assert_ne!(holder.map(|holder| holder.uid), second.metadata.uid, "it waits without the Pipeline");
    reports.patch(name, &Default::default(), &finalizers(serde_json::json!([]))).await.unwrap();
    until_phase(&namespace, "slow", Phase::Starting).await;
    play(&namespace, "slow", &[Run::of(20, 2_000)]).await;
}
