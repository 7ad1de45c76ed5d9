//! Producers that cannot start, die or keep silent.

use std::time::{Duration, Instant};

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, ResourceQuota},
};
use kube::ResourceExt;
use serde_json::json;
use tailrace_crds::{
    LoadTest, Pipeline, ProducerReport,
    conditions::{reasons, types},
    load_test::{LoadTestStatus, Phase},
};
use tailrace_operator::conditions::find;

use crate::{
    producers::{
        Run, load_test, namespace, operator, ready, ready_pipeline, report, until_finished, until_started, yaml,
    },
    support::Namespace,
};

/// The name of the pod that the Job controller has made for a producer.
async fn pod_of(namespace: &Namespace, job: &str) -> String {
    loop {
        let pods = namespace.list::<Pod>().await;
        let found = pods.iter().find(|pod| pod.labels().get("job-name").map(String::as_str) == Some(job));
        match found {
            Some(pod) => return pod.name_any(),
            None => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

fn assert_failed(status: &LoadTestStatus, reason: &str, message: &str) {
    let without_numbers = status.result.latency_micros.is_none();
    assert_eq!(status.phase, if without_numbers { Phase::Failed } else { Phase::Invalid });
    let valid = find(&status.conditions, types::RESULTS_VALID).unwrap();
    assert_eq!((valid.status.as_str(), valid.reason.as_str()), ("False", reason));
    assert!(valid.message.contains(message), "{}", valid.message);
}

/// What the producer waits for, as it writes it.
async fn waits_for(namespace: &Namespace, report: &str, reason: &str, message: &str) {
    let status = json!({ "podUid": format!("uid-of-{report}"), "waiting": { "reason": reason, "message": message } });
    namespace.patch_status::<ProducerReport>(report, status).await.unwrap();
}

/// Waits until the LoadTest says this, in its status and in the condition, and returns how long that took.
async fn until_said(namespace: &Namespace, test: &str, sentence: &str) -> Duration {
    let begun = Instant::now();
    let said = |test: &LoadTest| {
        let status = test.status.clone().unwrap_or_default();
        let reconciling = find(&status.conditions, types::RECONCILING).map(|condition| condition.message.clone());
        status.message.as_deref() == Some(sentence) && reconciling.as_deref() == Some(sentence)
    };
    namespace.until::<LoadTest>(test, sentence, said).await;
    begun.elapsed()
}

#[tokio::test]
async fn what_a_producer_waits_for_is_said_and_is_the_reason_when_the_time_is_up() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<LoadTest>(&yaml("waits", 2, "{closed: {}}", ", readyTimeout: 40s")).await;
    ready(&namespace, "waits", 0).await;
    namespace.until::<Job>("waits-producer-1", "there", |_| true).await;

    waits_for(&namespace, "waits-producer-1", "NoAnswer", "Kafka does not answer: Connection refused").await;
    let sentence = "1 of 2 producers are ready; producer 1 waits: Kafka does not answer: Connection refused";
    let took = until_said(&namespace, "waits", sentence).await;
    assert!(took < Duration::from_secs(15), "{took:?}");

    let lag = "the consumer group g is still 1 images behind on t (partition 0: offset 4 of 5)";
    waits_for(&namespace, "waits-producer-1", "ConsumerLag", lag).await;
    let sentence = format!("1 of 2 producers are ready; producer 1 waits: {lag}");
    let took = until_said(&namespace, "waits", &sentence).await;
    assert!(took < Duration::from_secs(15), "{took:?}");

    let status = until_finished(&namespace, "waits").await.status.unwrap();
    assert_failed(&status, reasons::READY_TIMEOUT, &format!("{sentence}; gave up after readyTimeout (40s)"));
}

#[tokio::test]
async fn a_producer_that_is_ready_waits_for_nothing_that_is_wrong() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "ready", 2).await;
    ready(&namespace, "ready", 0).await;
    waits_for(&namespace, "ready-producer-0", "CommonStart", "the common start").await;
    until_said(&namespace, "ready", "1 of 2 producers are ready").await;
    ready(&namespace, "ready", 1).await;
    until_started(&namespace, "ready").await;
}

#[tokio::test]
async fn a_producer_out_of_memory_fails_the_test_with_the_reason_of_its_pod() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "hungry", 2).await;
    for index in 0..2 {
        ready(&namespace, "hungry", index).await;
    }
    until_started(&namespace, "hungry").await;

    let pod = pod_of(&namespace, "hungry-producer-1").await;
    let killed = json!({
        "phase": "Failed",
        "containerStatuses": [{
            "name": "producer", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } },
        }],
    });
    namespace.patch_status::<Pod>(&pod, killed).await.unwrap();
    let status = until_finished(&namespace, "hungry").await.status.unwrap();
    assert_failed(&status, reasons::PRODUCER_FAILED, "OOMKilled: it needed more memory than its limit");

    // The other producer sends no more; the failed one's pod is kept for its log.
    namespace.until_gone::<Job>("hungry-producer-0").await;
    namespace.until::<Job>("hungry-producer-1", "kept", |_| true).await;
    namespace.get::<Pod>(&pod).await;
    let free = |pipeline: &Pipeline| pipeline.status.as_ref().is_some_and(|status| status.active_load_test.is_none());
    namespace.until::<Pipeline>("cifar", "free", free).await;
}

#[tokio::test]
async fn a_producer_that_gives_up_says_why() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "refused", 1).await;
    namespace.until::<ProducerReport>("refused-producer-0", "there", |_| true).await;
    let gave_up = json!({ "podUid": "1", "failure": "the broker cifar-kafka:9092 refuses connections" });
    namespace.patch_status::<ProducerReport>("refused-producer-0", gave_up).await.unwrap();
    let status = until_finished(&namespace, "refused").await.status.unwrap();
    assert_failed(
        &status,
        reasons::PRODUCER_FAILED,
        "producer 0 failed: the broker cifar-kafka:9092 refuses connections",
    );
}

#[tokio::test]
async fn producers_that_are_never_ready_fail_the_test_with_what_their_pod_waits_for() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<LoadTest>(&yaml("stuck", 2, "{closed: {}}", ", readyTimeout: 4s")).await;
    ready(&namespace, "stuck", 0).await;
    let pod = pod_of(&namespace, "stuck-producer-1").await;
    let waits = json!({
        "containerStatuses": [{
            "name": "producer", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ImagePullBackOff", "message": "Back-off pulling image" } },
        }],
    });
    namespace.patch_status::<Pod>(&pod, waits).await.unwrap();

    let told =
        format!("1 of 2 producers are ready; producer 1 waits: pod {pod}: ImagePullBackOff: Back-off pulling image");
    let message = |test: &LoadTest| test.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default();
    namespace.until::<LoadTest>("stuck", "told what it waits for", |test| message(test).starts_with(&told)).await;
    let status = until_finished(&namespace, "stuck").await.status.unwrap();
    assert_failed(&status, reasons::READY_TIMEOUT, &told);
    assert!(status.message.unwrap().ends_with("gave up after readyTimeout (4s)"));
    for job in ["stuck-producer-0", "stuck-producer-1"] {
        namespace.until_gone::<Job>(job).await;
    }
}

#[tokio::test]
async fn what_the_others_reported_is_shown_though_one_failed() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "half", 2).await;
    for index in 0..2 {
        ready(&namespace, "half", index).await;
    }
    until_started(&namespace, "half").await;
    report(&namespace, "half", 0, &Run::of(50, 3_000)).await;
    let gave_up = json!({ "failure": "the broker is gone" });
    namespace.patch_status::<ProducerReport>("half-producer-1", gave_up).await.unwrap();
    let status = until_finished(&namespace, "half").await.status.unwrap();
    assert_failed(&status, reasons::PRODUCER_FAILED, "producer 1 failed: the broker is gone");
    assert_eq!(status.result.messages.unwrap().received, 50);
    assert_eq!(status.display.unwrap().p95.as_deref(), Some("3.0ms"));
}

#[tokio::test]
async fn a_job_deleted_by_hand_is_not_replaced_since_it_would_be_another_experiment() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "bereft", 1).await;
    ready(&namespace, "bereft", 0).await;
    until_started(&namespace, "bereft").await;
    namespace.delete::<Job>("bereft-producer-0").await;
    let status = until_finished(&namespace, "bereft").await.status.unwrap();
    assert_failed(&status, reasons::PRODUCER_FAILED, "producer 0 failed: its Job was deleted");
}

#[tokio::test]
async fn a_pipeline_deleted_while_the_test_runs_ends_it() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "orphan", 1).await;
    ready(&namespace, "orphan", 0).await;
    until_started(&namespace, "orphan").await;
    namespace.delete::<Pipeline>("cifar").await;
    let status = until_finished(&namespace, "orphan").await.status.unwrap();
    assert_failed(&status, reasons::PIPELINE_NOT_FOUND, "was deleted while the test ran");
    namespace.until_gone::<Job>("orphan-producer-0").await;
}

#[tokio::test]
async fn a_quota_that_admits_no_pod_ends_the_test_with_its_own_words() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let quota = "{apiVersion: v1, kind: ResourceQuota, metadata: {name: small}, spec: {hard: {pods: '0'}}}";
    namespace.create_yaml::<ResourceQuota>(quota).await;
    // No controller of quotas runs here: what it would write is what the API server goes by.
    let status = json!({ "hard": { "pods": "0" }, "used": { "pods": "0" } });
    namespace.patch_status::<ResourceQuota>("small", status).await.unwrap();
    let _operator = operator(&namespace);
    namespace.create_yaml::<LoadTest>(&yaml("poor", 1, "{closed: {}}", ", readyTimeout: 5s")).await;
    let status = until_finished(&namespace, "poor").await.status.unwrap();
    assert_failed(&status, reasons::READY_TIMEOUT, "exceeded quota: small");
}
