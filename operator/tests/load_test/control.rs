//! What a user can still say about a test that exists: suspend, abort, and how long it stays.

use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tailrace_crds::{
    LoadTest,
    conditions::{reasons, types},
    load_test::{LoadTestStatus, Phase},
};
use tailrace_operator::conditions::find;

use crate::{
    producers::{
        Run, load_test, namespace, operator, play, ready, ready_pipeline, report, until_finished, until_phase,
        until_started, yaml,
    },
    support::Namespace,
};

async fn change(namespace: &Namespace, test: &str, spec: Value) -> Result<LoadTest, kube::Error> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    namespace.api::<LoadTest>().patch(test, &PatchParams::default(), &patch).await
}

fn assert_aborted(status: &LoadTestStatus, message: &str) {
    assert_eq!(status.phase, Phase::Aborted);
    for (type_, holds) in [(types::FINISHED, "True"), (types::SUCCEEDED, "False"), (types::RESULTS_VALID, "False")] {
        let condition = find(&status.conditions, type_).unwrap();
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), (holds, reasons::ABORTED), "{type_}");
    }
    assert!(status.message.as_ref().is_some_and(|told| told.contains(message)), "{:?}", status.message);
}

#[tokio::test]
async fn a_suspended_test_lets_others_go_before_it_and_starts_when_it_may() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    namespace.create_yaml::<LoadTest>(&yaml("early", 1, "{closed: {}}", ", suspend: true")).await;
    let _operator = operator(&namespace);
    let suspended = |test: &LoadTest| {
        let accepted = test.status.as_ref().and_then(|status| find(&status.conditions, types::ACCEPTED).cloned());
        accepted.is_some_and(|accepted| accepted.reason == reasons::SUSPENDED)
    };
    namespace.until::<LoadTest>("early", "suspended", suspended).await;

    load_test(&namespace, "late", 1).await;
    play(&namespace, "late", &[Run::of(10, 1_000)]).await;
    assert_eq!(until_finished(&namespace, "late").await.status.unwrap().phase, Phase::Succeeded);
    assert!(suspended(&namespace.get("early").await));

    change(&namespace, "early", json!({ "suspend": false })).await.unwrap();
    play(&namespace, "early", &[Run::of(10, 1_000)]).await;
    assert_eq!(until_finished(&namespace, "early").await.status.unwrap().phase, Phase::Succeeded);
}

#[tokio::test]
async fn an_abort_while_it_runs_gives_what_was_measured() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "stopped", 1).await;
    ready(&namespace, "stopped", 0).await;
    until_started(&namespace, "stopped").await;
    change(&namespace, "stopped", json!({ "abort": true })).await.unwrap();
    let draining = until_phase(&namespace, "stopped", Phase::Draining).await.status.unwrap();
    assert!(draining.abort_time.is_some() && draining.message.unwrap().starts_with("aborted: waits for"));

    report(&namespace, "stopped", 0, &Run::of(20, 3_000)).await;
    let status = until_finished(&namespace, "stopped").await.status.unwrap();
    assert_aborted(&status, "aborted; 20 images, all answered; p95 3.0ms");
    assert_eq!((status.result.messages.unwrap().received, status.display.unwrap().p95.as_deref()), (20, Some("3.0ms")));
    namespace.until_gone::<Job>("stopped-producer-0").await;
}

#[tokio::test]
async fn an_abort_before_the_start_ends_it_at_once() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    load_test(&namespace, "queued", 1).await;
    until_phase(&namespace, "queued", Phase::Queued).await;
    change(&namespace, "queued", json!({ "abort": true })).await.unwrap();
    assert_aborted(
        &until_finished(&namespace, "queued").await.status.unwrap(),
        "aborted; nothing was measured before the common start",
    );

    ready_pipeline(&namespace).await;
    load_test(&namespace, "starting", 2).await;
    ready(&namespace, "starting", 0).await;
    change(&namespace, "starting", json!({ "abort": true })).await.unwrap();
    assert_aborted(
        &until_finished(&namespace, "starting").await.status.unwrap(),
        "aborted; nothing was measured before the common start",
    );
    namespace.until_gone::<Job>("starting-producer-0").await;
}

#[tokio::test]
async fn only_suspend_abort_and_the_time_to_live_can_be_changed() {
    let namespace = namespace().await;
    load_test(&namespace, "fixed", 1).await;
    change(&namespace, "fixed", json!({ "suspend": true, "ttlSecondsAfterFinished": 5 })).await.unwrap();
    change(&namespace, "fixed", json!({ "abort": true })).await.unwrap();
    let refused = async |spec: Value| change(&namespace, "fixed", spec).await.unwrap_err().to_string();
    assert!(refused(json!({ "abort": false })).await.contains("an abort cannot be undone"));
    for spec in [
        json!({ "producers": 2 }),
        json!({ "pipelineRef": { "name": "other" } }),
        json!({ "load": { "closed": { "outstanding": 2 } } }),
        json!({ "duration": "2s" }),
        json!({ "dataset": { "seed": 1 } }),
        json!({ "rawLog": true }),
        json!({ "slos": [{ "metric": "P95", "max": "1s" }] }),
        json!({ "baselineRef": { "name": "main" } }),
        json!({ "podTemplate": { "nodeSelector": { "disk": "fast" } } }),
    ] {
        let sentence = refused(spec.clone()).await;
        assert!(sentence.contains("only suspend, abort and ttlSecondsAfterFinished"), "{spec}: {sentence}");
    }
}

#[tokio::test]
async fn a_finished_test_is_deleted_when_its_time_is_over_with_all_that_belongs_to_it() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<LoadTest>(&yaml("brief", 1, "{closed: {}}", ", ttlSecondsAfterFinished: 2")).await;
    play(&namespace, "brief", &[Run::of(10, 1_000)]).await;
    until_finished(&namespace, "brief").await;
    namespace.until::<ConfigMap>("brief-histograms", "there", |_| true).await;
    namespace.until_gone::<LoadTest>("brief").await;
    namespace.until_gone::<ConfigMap>("brief-histograms").await;
}

#[tokio::test]
async fn a_test_with_a_raw_log_keeps_the_pods_that_have_it() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<LoadTest>(&yaml("logged", 1, "{closed: {}}", ", rawLog: true")).await;
    play(&namespace, "logged", &[Run::of(10, 1_000)]).await;
    until_finished(&namespace, "logged").await;
    let free = |pipeline: &tailrace_crds::Pipeline| {
        pipeline.status.as_ref().is_some_and(|status| status.active_load_test.is_none())
    };
    namespace.until("cifar", "free", free).await;
    let job: Job = namespace.get("logged-producer-0").await;
    let container = &job.spec.unwrap().template.spec.unwrap().containers[0];
    let told = container.env.iter().flatten().find(|variable| variable.name == "TAILRACE_RAW_LOG");
    assert_eq!(told.and_then(|variable| variable.value.as_deref()), Some("true"));
}
