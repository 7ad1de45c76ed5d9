//! What makes a result invalid, or is to be known of it.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        batch::v1::Job,
        core::v1::{ConfigMap, Pod, ServiceAccount},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Resource,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tailrace_crds::{
    LoadTest, Pipeline,
    conditions::{reasons, types, warnings},
    load_test::{LoadTestStatus, Phase, RegressionVerdict},
};
use tailrace_measure::{
    histogram::LatencyHistogram,
    intervals::{Buckets, Files},
};
use tailrace_operator::conditions::find;

use crate::{
    producers::{
        Run, load_test, namespace, operator, play, ready, ready_pipeline, report, until_finished, until_phase,
        until_started, yaml,
    },
    support::Namespace,
};

fn assert_invalid(status: &LoadTestStatus, reason: &str, message: &str) {
    let without_numbers = status.result.latency_micros.is_none();
    assert_eq!(status.phase, if without_numbers { Phase::Failed } else { Phase::Invalid });
    let valid = find(&status.conditions, types::RESULTS_VALID).unwrap();
    assert_eq!((valid.status.as_str(), valid.reason.as_str()), ("False", reason), "{}", valid.message);
    assert!(valid.message.contains(message), "{}", valid.message);
}

/// A pod of the Pipeline, running.
async fn pod_of_pipeline(namespace: &Namespace, name: &str) {
    let account = ServiceAccount {
        metadata: ObjectMeta { name: Some("cifar".into()), ..ObjectMeta::default() },
        ..ServiceAccount::default()
    };
    namespace.api::<ServiceAccount>().create(&PostParams::default(), &account).await.unwrap();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {
            "name": name,
            "labels": { "tailrace.dev/pipeline": "cifar", "app.kubernetes.io/component": "inference" },
            "ownerReferences": [replica_set(namespace, "cifar-inference").await],
        },
        "spec": {
            "serviceAccountName": "cifar",
            "automountServiceAccountToken": false,
            "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "inference", "image": "worker:1",
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
            }],
        },
    }))
    .unwrap();
    namespace.api::<Pod>().create(&PostParams::default(), &pod).await.unwrap();
    restarts(namespace, name, 0).await;
}

/// A Deployment of the Pipeline and its ReplicaSet, as the owner of a pod. Nobody makes pods of them here.
async fn replica_set(namespace: &Namespace, deployment: &str) -> OwnerReference {
    let owner = namespace.get::<Pipeline>("cifar").await.controller_owner_ref(&()).unwrap();
    let labels = json!({ "tailrace.dev/pipeline": "cifar", "app.kubernetes.io/component": "inference" });
    let spec = json!({
        "selector": { "matchLabels": labels },
        "template": { "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "a", "image": "a" }] } },
    });
    let metadata =
        |name: &str, owner: &OwnerReference| json!({ "name": name, "labels": labels, "ownerReferences": [owner] });
    let object = json!({ "metadata": metadata(deployment, &owner), "spec": spec });
    let made: Deployment = serde_json::from_value(object).unwrap();
    let made = namespace.api::<Deployment>().create(&PostParams::default(), &made).await.unwrap();
    let owner = made.controller_owner_ref(&()).unwrap();
    let object = json!({ "metadata": metadata(&format!("{deployment}-5d9c"), &owner), "spec": spec });
    let made: ReplicaSet = serde_json::from_value(object).unwrap();
    let made = namespace.api::<ReplicaSet>().create(&PostParams::default(), &made).await.unwrap();
    made.controller_owner_ref(&()).unwrap()
}

async fn restarts(namespace: &Namespace, name: &str, count: i32) {
    let status = json!({
        "phase": "Running",
        "containerStatuses": [{
            "name": "inference", "image": "", "imageID": "", "ready": true, "restartCount": count,
            "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } },
        }],
    });
    namespace.patch_status::<Pod>(name, status).await.unwrap();
}

#[tokio::test]
async fn a_pod_of_the_pipeline_restarted_during_the_run_makes_the_result_invalid() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    pod_of_pipeline(&namespace, "cifar-inference-a").await;
    let _operator = operator(&namespace);
    lasts_an_hour(&namespace, "restarted").await;
    restarts(&namespace, "cifar-inference-a", 1).await;
    let status = until_finished(&namespace, "restarted").await.status.unwrap();
    assert_invalid(
        &status,
        reasons::PIPELINE_CHANGED,
        "pod cifar-inference-a was restarted (OOMKilled) during the run",
    );
    until_tidy(&namespace, "restarted").await;

    lasts_an_hour(&namespace, "evicted").await;
    let evicted = json!({ "phase": "Failed", "reason": "Evicted", "message": "The node was low on memory." });
    namespace.patch_status::<Pod>("cifar-inference-a", evicted).await.unwrap();
    let status = until_finished(&namespace, "evicted").await.status.unwrap();
    let why = "pod cifar-inference-a went away (Evicted: The node was low on memory.) during the run";
    assert_invalid(&status, reasons::PIPELINE_CHANGED, why);
    until_tidy(&namespace, "evicted").await;
}

/// A test that would be measured for an hour; it has started.
async fn lasts_an_hour(namespace: &Namespace, name: &str) {
    namespace.create_yaml::<LoadTest>(&yaml(name, 1, "{closed: {}}", "").replace("duration: 1s", "duration: 1h")).await;
    ready(namespace, name, 0).await;
    until_started(namespace, name).await;
}

/// No load and no lock.
async fn until_tidy(namespace: &Namespace, name: &str) {
    namespace.until_gone::<Job>(&format!("{name}-producer-0")).await;
    let free = |pipeline: &Pipeline| pipeline.status.as_ref().is_some_and(|status| status.active_load_test.is_none());
    namespace.until::<Pipeline>("cifar", "free", free).await;
}

#[tokio::test]
async fn of_a_test_that_ends_with_the_pipeline_what_was_reported_is_shown() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    let test = yaml("half", 2, "{closed: {}}", "").replace("duration: 1s", "duration: 1h");
    namespace.create_yaml::<LoadTest>(&test).await;
    for index in 0..2 {
        ready(&namespace, "half", index).await;
    }
    until_started(&namespace, "half").await;
    report(&namespace, "half", 0, &Run::of(50, 2_000)).await;
    namespace.patch_status::<Pipeline>("cifar", json!({ "revision": "another" })).await.unwrap();
    let status = until_finished(&namespace, "half").await.status.unwrap();
    assert_invalid(&status, reasons::PIPELINE_CHANGED, "a change of the Pipeline's spec or of its images was applied");
    assert_eq!(status.result.messages.unwrap().received, 50, "an invalid result is shown");
}

#[tokio::test]
async fn pods_that_merely_bear_the_labels_of_the_pipeline_are_not_judged() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    pod_of_pipeline(&namespace, "cifar-inference-a").await;
    let _operator = operator(&namespace);
    load_test(&namespace, "visited", 1).await;
    ready(&namespace, "visited", 0).await;
    until_started(&namespace, "visited").await;
    let labels = json!({ "tailrace.dev/pipeline": "cifar" });
    let component = |component: &str| {
        let mut labels = labels.clone();
        labels["app.kubernetes.io/component"] = json!(component);
        labels
    };
    let account = namespace.get::<ServiceAccount>("cifar").await;
    let some_owner = json!([account.controller_owner_ref(&()).unwrap()]);
    for (name, labels, owners) in [
        ("camera", labels.clone(), json!([])),
        ("debugger", component("inference"), json!([])),
        ("producer", component("producer"), json!([])),
        ("owned", component("archive"), some_owner),
    ] {
        let mut pod: Pod = namespace.get("cifar-inference-a").await;
        pod.metadata = serde_json::from_value(json!({
            "name": name, "labels": labels, "ownerReferences": owners
        }))
        .unwrap();
        (pod.spec.as_mut().unwrap().node_name, pod.status) = (None, None);
        namespace.api::<Pod>().create(&PostParams::default(), &pod).await.unwrap();
        restarts(&namespace, name, 3).await;
    }
    report(&namespace, "visited", 0, &Run::of(50, 2_000)).await;
    let status = until_finished(&namespace, "visited").await.status.unwrap();
    assert_eq!(status.phase, Phase::Succeeded, "{:?}", status.message);
    // Nor does any of them keep the next test from starting.
    load_test(&namespace, "next", 1).await;
    play(&namespace, "next", &[Run::of(50, 2_000)]).await;
    assert_eq!(until_finished(&namespace, "next").await.status.unwrap().phase, Phase::Succeeded);
}

#[tokio::test]
async fn a_new_spec_is_no_matter_as_long_as_it_is_not_applied() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    pod_of_pipeline(&namespace, "cifar-inference-a").await;
    let _operator = operator(&namespace);
    load_test(&namespace, "same", 1).await;
    play(&namespace, "same", &[Run::of(50, 2_000)]).await;
    assert_eq!(until_finished(&namespace, "same").await.status.unwrap().phase, Phase::Succeeded);

    load_test(&namespace, "held", 1).await;
    ready(&namespace, "held", 0).await;
    until_started(&namespace, "held").await;
    let patch = Patch::Merge(json!({ "spec": { "inference": { "maxBatch": 3 } } }));
    namespace.api::<Pipeline>().patch("cifar", &PatchParams::default(), &patch).await.unwrap();
    report(&namespace, "held", 0, &Run::of(50, 2_000)).await;
    assert_eq!(until_finished(&namespace, "held").await.status.unwrap().phase, Phase::Succeeded);

    // The next one waits for it.
    load_test(&namespace, "next", 1).await;
    let message = |test: &LoadTest| test.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default();
    let waits = |test: &LoadTest| message(test).contains("the operator has not looked at its present spec yet");
    namespace.until::<LoadTest>("next", "waiting for the new spec", waits).await;
    namespace.patch_status::<Pipeline>("cifar", json!({ "observedGeneration": 2, "revision": "2" })).await.unwrap();
    until_phase(&namespace, "next", Phase::Starting).await;
}

#[tokio::test]
async fn producers_kept_from_running_by_their_limit_make_the_result_invalid() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "limited", 2).await;
    let throttled = Run { throttled_micros: 250_000, ..Run::of(50, 2_000) };
    play(&namespace, "limited", &[Run::of(50, 2_000), throttled]).await;
    let status = until_finished(&namespace, "limited").await.status.unwrap();
    assert_invalid(&status, reasons::GENERATOR_SATURATED, "kept from running for 250ms by their CPU limit");
}

#[tokio::test]
async fn images_of_others_are_warned_of() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "visited", 2).await;
    // Each producer sent 50 and, before, 5.
    let run = Run { topic_records: 117, ..Run::of(50, 2_000) };
    play(&namespace, "visited", &[run.clone(), run]).await;
    let status = until_finished(&namespace, "visited").await.status.unwrap();
    assert_eq!(status.phase, Phase::Succeeded, "a warning is no defect");
    assert_eq!(status.result.warnings.len(), 1, "{:?}", status.result.warnings);
    assert_eq!(status.result.warnings[0].reason, warnings::SHARED);
    assert!(
        status.result.warnings[0].message.contains("got 7 images of other sources"),
        "{}",
        status.result.warnings[0].message
    );
}

#[tokio::test]
async fn the_histograms_of_seconds_are_kept_and_add_up_to_the_whole() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "kept", 2).await;
    play(&namespace, "kept", &[Run::of(50, 2_000), Run::of(30, 9_000)]).await;
    let status = until_finished(&namespace, "kept").await.status.unwrap();
    let histograms = status.histograms.unwrap();
    assert_eq!((histograms.config_map.as_str(), histograms.interval_seconds), ("kept-histograms", 1));
    let data = namespace.get::<ConfigMap>("kept-histograms").await.data.unwrap();
    let files = Files { histograms: data["latency.hlog"].clone(), counts: data["intervals.csv"].clone() };
    let total = files.read().unwrap().total();
    let mut expected = LatencyHistogram::new();
    (0..50).for_each(|_| expected.record(2_000).unwrap());
    (0..30).for_each(|_| expected.record(9_000).unwrap());
    assert_eq!((total.scheduled, total.latency), (80, Buckets::from(&expected)));
}

#[tokio::test]
async fn a_test_waits_for_its_baseline_and_is_compared_with_it() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    let baseline = ", duration: 20s, baselineRef: {name: main, maxRegressionPercent: 20}";
    namespace.create_yaml::<LoadTest>(&long("candidate", baseline)).await;
    let told = |test: &LoadTest| {
        let message = test.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default();
        message.contains("the baseline, LoadTest \"main\", does not exist")
    };
    namespace.until::<LoadTest>("candidate", "told of its baseline", told).await;

    namespace.create_yaml::<LoadTest>(&long("main", ", duration: 20s")).await;
    steady(&namespace, "main", 2_000).await;
    steady(&namespace, "candidate", 3_000).await;
    let status = until_finished(&namespace, "candidate").await.status.unwrap();
    let comparison = status.result.comparison.unwrap();
    assert_eq!(comparison.verdict, RegressionVerdict::Regressed);
    assert_eq!(comparison.environment_differences, Vec::<String>::new());
    let p95 = &comparison.metrics[1];
    assert_eq!((p95.baseline_micros, p95.observed_micros), (Some(2_000), Some(3_001)));
    assert_eq!(status.phase, Phase::Missed);
    let succeeded = find(&status.conditions, types::SUCCEEDED).unwrap();
    assert_eq!(succeeded.reason, reasons::REGRESSED);
    assert!(succeeded.message.contains("was 2.0ms in \"main\""), "{}", succeeded.message);
    assert_eq!(find(&status.conditions, types::RESULTS_VALID).unwrap().status, "True");
    let confidence = status.result.confidence_micros.unwrap().p50.unwrap();
    assert_eq!((confidence.low, confidence.high), (3_001, Some(3_001)));
}

/// Long enough to be compared; its producer reports when the test wants it to.
fn long(name: &str, more: &str) -> String {
    yaml(name, 1, "{closed: {}}", "").replace(", duration: 1s", more)
}

/// A producer that reports twenty seconds of ten images each as soon as it is started.
async fn steady(namespace: &Namespace, test: &str, micros: u64) {
    ready(namespace, test, 0).await;
    until_phase(namespace, test, Phase::WarmingUp).await;
    report(namespace, test, 0, &Run { seconds: 20, ..Run::of(200, micros) }).await;
    until_finished(namespace, test).await;
}

#[tokio::test]
async fn tests_that_wait_for_each_other_do_not_wait_for_ever() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    for (name, other) in [("hen", "egg"), ("egg", "hen")] {
        let more = format!(", startTimeout: 2s, baselineRef: {{name: {other}}}");
        namespace.create_yaml::<LoadTest>(&yaml(name, 1, "{closed: {}}", &more)).await;
    }
    // The first to see the circle ends, and has no valid result, which the other one cannot be compared with.
    for name in ["hen", "egg"] {
        let status = until_finished(&namespace, name).await.status.unwrap();
        assert_invalid(&status, reasons::BASELINE_NOT_USABLE, "name another one");
    }
}

#[tokio::test]
async fn a_baseline_without_a_valid_result_fails_the_test_at_once_and_one_that_runs_is_waited_for() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "main", 1).await;
    ready(&namespace, "main", 0).await;
    until_started(&namespace, "main").await;
    // Both would wait ten minutes for a Pipeline.
    let candidate = |name: &str| yaml(name, 1, "{closed: {}}", ", baselineRef: {name: main}");
    namespace.create_yaml::<LoadTest>(&candidate("early")).await;
    let message = |test: &LoadTest| test.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default();
    let waits = |test: &LoadTest| message(test).ends_with("LoadTest \"main\", has not finished");
    namespace.until::<LoadTest>("early", "waiting for its baseline", waits).await;

    let gave_up = json!({ "failure": "the broker is gone" });
    namespace.patch_status::<tailrace_crds::ProducerReport>("main-producer-0", gave_up).await.unwrap();
    namespace.create_yaml::<LoadTest>(&candidate("late")).await;
    for name in ["early", "late"] {
        let status = until_finished(&namespace, name).await.status.unwrap();
        assert_invalid(&status, reasons::BASELINE_NOT_USABLE, "\"main\", has no valid result: name another one");
    }
}
