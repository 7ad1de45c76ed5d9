//! What a producer may do, asked of the API server with the token of its ServiceAccount.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, Secret, ServiceAccount},
};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tailrace_crds::{LoadTest, Pipeline, ProducerReport};

use crate::{
    producers::{load_test, namespace, operator, ready_pipeline},
    support::{Namespace, api_server},
};

/// The namespace as the ServiceAccount of a test's producers sees it.
async fn as_producer(namespace: &Namespace, test: &str) -> Namespace {
    let account = format!("{test}-producer");
    namespace.until::<ServiceAccount>(&account, "there", |_| true).await;
    api_server().await.as_account(namespace, &account).await
}

fn is_forbidden<T: std::fmt::Debug>(answer: Result<T, kube::Error>) -> bool {
    matches!(answer, Err(kube::Error::Api(status)) if status.code == 403)
}

#[tokio::test]
async fn a_producer_may_read_its_test_and_write_its_tests_reports_and_nothing_else() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "mine", 2).await;
    load_test(&namespace, "other", 1).await;
    let producer = as_producer(&namespace, "mine").await;
    namespace.until::<Job>("mine-producer-1", "there", |_| true).await;

    let tests = producer.api::<LoadTest>();
    tests.get("mine").await.unwrap();
    tests.list(&ListParams::default().fields("metadata.name=mine")).await.unwrap();
    producer.patch_status::<ProducerReport>("mine-producer-0", json!({ "podUid": "1" })).await.unwrap();

    assert!(is_forbidden(producer.api::<ProducerReport>().get("mine-producer-0").await));
    assert!(is_forbidden(tests.get("other").await));
    assert!(is_forbidden(tests.list(&ListParams::default()).await));
    assert!(is_forbidden(producer.patch_status::<LoadTest>("mine", json!({ "phase": "Succeeded" })).await));
    let spec = Patch::Merge(json!({ "spec": { "index": 7 } }));
    assert!(is_forbidden(
        producer.api::<ProducerReport>().patch("mine-producer-0", &PatchParams::default(), &spec).await
    ));
    assert!(is_forbidden(producer.patch_status::<ProducerReport>("other-producer-0", json!({ "podUid": "1" })).await));
    assert!(is_forbidden(producer.api::<Pipeline>().get("cifar").await));
    assert!(is_forbidden(producer.api::<Secret>().list(&ListParams::default()).await));
    assert!(is_forbidden(producer.api::<Pod>().list(&ListParams::default()).await));
}

#[tokio::test]
async fn the_pods_of_producers_are_admitted_at_the_restricted_level() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "restricted", 1).await;
    // The Job controller makes the pod only if admission lets it.
    let started = |job: &Job| job.status.as_ref().is_some_and(|status| status.active == Some(1));
    let job = namespace.until::<Job>("restricted-producer-0", "running a pod", started).await;

    let pod = job.spec.unwrap().template.spec.unwrap();
    let container = &pod.containers[0];
    assert_eq!(container.security_context.as_ref().unwrap().read_only_root_filesystem, Some(true));
    let resources = container.resources.as_ref().unwrap();
    assert!(resources.limits.as_ref().unwrap().contains_key("memory"));
    assert!(!resources.limits.as_ref().unwrap().contains_key("cpu"), "throttling would be measured as latency");
    assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
}
