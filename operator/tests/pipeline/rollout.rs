//! Changes of a Pipeline on which a LoadTest runs.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::Service,
};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tailrace_crds::{LoadTest, Pipeline, conditions::types};
use tailrace_operator::{
    conditions::{find, is_true},
    pipeline::controller,
};

use crate::{
    cluster::{
        CHECKED, TOPICS, becomes_ready, everything_runs, job_of, namespace, operator, pipeline, pod_ends, until_event,
        until_ready,
    },
    support::{Namespace, Operator},
};

/// A LoadTest that has the Pipeline, as its controller would have written it.
async fn test_runs(namespace: &Namespace, name: &str) {
    let yaml = format!(
        "{{apiVersion: tailrace.dev/v1alpha1, kind: LoadTest, metadata: {{name: {name}}}, \
          spec: {{pipelineRef: {{name: cifar}}, load: {{closed: {{}}}}}}}}"
    );
    let test: LoadTest = namespace.create_yaml(&yaml).await;
    namespace.patch_status::<LoadTest>(name, json!({ "phase": "Running" })).await.unwrap();
    lock(namespace, json!({ "name": name, "uid": test.uid() })).await;
}

async fn test_ends(namespace: &Namespace, name: &str) {
    namespace.patch_status::<LoadTest>(name, json!({ "phase": "Succeeded" })).await.unwrap();
    lock(namespace, Value::Null).await;
}

async fn lock(namespace: &Namespace, test: Value) {
    namespace.patch_status::<Pipeline>("cifar", json!({ "activeLoadTest": test })).await.unwrap();
}

async fn change(namespace: &Namespace, spec: Value) -> Pipeline {
    let patch = Patch::Merge(json!({ "spec": spec }));
    namespace.api::<Pipeline>().patch("cifar", &PatchParams::default(), &patch).await.unwrap()
}

/// What is held back, once something is.
async fn until_held(namespace: &Namespace) -> String {
    let held = |pipeline: &Pipeline| is_true(&pipeline.status.as_ref().unwrap().conditions, types::ROLLOUT_HELD);
    let held = namespace.until::<Pipeline>("cifar", "held", held).await.status.unwrap();
    find(&held.conditions, types::ROLLOUT_HELD).unwrap().message.clone()
}

async fn until_nothing_is_held(namespace: &Namespace) {
    let free = |pipeline: &Pipeline| !is_true(&pipeline.status.as_ref().unwrap().conditions, types::ROLLOUT_HELD);
    namespace.until::<Pipeline>("cifar", "free", free).await;
}

/// The generations of all workloads: they move with every change that could reach a pod.
async fn workloads(namespace: &Namespace) -> Vec<(String, Option<i64>)> {
    let sets = namespace.list::<StatefulSet>().await.into_iter().map(|set| (set.name_any(), set.metadata.generation));
    let deployments = namespace.list::<Deployment>().await;
    sets.chain(deployments.into_iter().map(|found| (found.name_any(), found.metadata.generation))).collect()
}

async fn jobs(namespace: &Namespace) -> Vec<String> {
    namespace.list::<k8s_openapi::api::batch::v1::Job>().await.iter().map(ResourceExt::name_any).collect()
}

#[tokio::test]
async fn a_change_of_the_spec_waits_for_the_end_of_the_test_and_is_checked_before_it_is_ready() {
    for spec in [
        json!({ "inference": { "maxBatch": 3 } }),
        json!({ "inference": { "topology": "Split" } }),
        json!({ "archive": { "enabled": false } }),
        json!({ "topics": { "images": { "partitions": 13 } } }),
    ] {
        let namespace = namespace().await;
        let _operator = operator(&namespace);
        pipeline(&namespace, "{}").await;
        let before = becomes_ready(&namespace).await.status.unwrap();
        test_runs(&namespace, "running").await;
        let (workloads_before, jobs_before) = (workloads(&namespace).await, jobs(&namespace).await);

        change(&namespace, spec.clone()).await;
        let message = until_held(&namespace).await;
        let sentence = "held back until LoadTest \"running\" is over: generation 2 of the spec (1 is applied); \
                        spec.rolloutPolicy Immediate would apply it now and end the test";
        assert_eq!(message, sentence);
        until_event(&namespace, "Normal RolloutHeld: held back until LoadTest \"running\" is over").await;
        let held: Pipeline = namespace.get("cifar").await;
        let status = held.status.unwrap();
        assert!(is_true(&status.conditions, types::READY), "what runs is as ready as before");
        assert_eq!((status.observed_generation, &status.revision), (before.observed_generation, &before.revision));
        assert_eq!(workloads(&namespace).await, workloads_before, "{spec}");
        assert_eq!(jobs(&namespace).await, jobs_before, "{spec}");

        test_ends(&namespace, "running").await;
        until_nothing_is_held(&namespace).await;
        let status = namespace.get::<Pipeline>("cifar").await.status.unwrap();
        assert!(!is_true(&status.conditions, types::READY), "not before it is applied and checked: {spec}");
        assert_ne!(status.revision, before.revision);
        job_of(&namespace, "topics", "").await;
    }
}

#[tokio::test]
async fn after_the_test_the_new_spec_becomes_ready() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    becomes_ready(&namespace).await;
    let first = job_of(&namespace, "check", "").await;
    test_runs(&namespace, "running").await;
    change(&namespace, json!({ "inference": { "maxBatch": 3 } })).await;
    until_held(&namespace).await;
    test_ends(&namespace, "running").await;
    until_event(&namespace, "Normal RollingOut").await;
    let max_batch = |deployment: &Deployment| {
        let container = &deployment.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers[0];
        container
            .env
            .iter()
            .flatten()
            .any(|variable| variable.name == "TAILRACE_MAX_BATCH" && variable.value.as_deref() == Some("3"))
    };
    namespace.until::<Deployment>("cifar-inference", "changed", max_batch).await;
    everything_runs(&namespace).await;
    let check = job_of(&namespace, "check", &first).await;
    pod_ends(&namespace, &check, 0, CHECKED).await;
    let status = until_ready(&namespace).await.status.unwrap();
    assert_eq!(status.checked_generation, Some(2));
}

#[tokio::test]
async fn the_policy_immediate_applies_it_at_once_also_when_it_comes_later() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    let before = becomes_ready(&namespace).await.status.unwrap();
    test_runs(&namespace, "running").await;
    change(&namespace, json!({ "rolloutPolicy": "Immediate" })).await;
    let status = until_ready(&namespace).await.status.unwrap();
    assert_eq!(status.revision, before.revision, "a policy is no change of what runs");

    change(&namespace, json!({ "rolloutPolicy": "AfterTests", "inference": { "maxBatch": 3 } })).await;
    until_held(&namespace).await;
    let generation = workloads(&namespace).await;
    change(&namespace, json!({ "rolloutPolicy": "Immediate" })).await;
    until_nothing_is_held(&namespace).await;
    let changed = |pipeline: &Pipeline| pipeline.status.as_ref().unwrap().revision != before.revision;
    namespace.until::<Pipeline>("cifar", "changed", changed).await;
    let another =
        |deployment: &Deployment| !generation.contains(&(deployment.name_any(), deployment.metadata.generation));
    namespace.until::<Deployment>("cifar-inference", "changed", another).await;
}

#[tokio::test]
async fn a_change_that_is_taken_back_in_the_meantime_was_none() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    let before = becomes_ready(&namespace).await;
    test_runs(&namespace, "running").await;
    let workloads_before = workloads(&namespace).await;
    change(&namespace, json!({ "inference": { "maxBatch": 3 } })).await;
    until_held(&namespace).await;
    change(&namespace, json!({ "inference": { "maxBatch": before.spec.inference.max_batch } })).await;
    until_nothing_is_held(&namespace).await;
    let status = until_ready(&namespace).await.status.unwrap();
    assert_eq!(status.revision, before.status.unwrap().revision);
    assert_eq!(workloads(&namespace).await, workloads_before);
}

#[tokio::test]
async fn another_version_of_the_operator_changes_nothing_under_a_test() {
    let namespace = namespace().await;
    let first = operator(&namespace);
    pipeline(&namespace, "{}").await;
    becomes_ready(&namespace).await;
    test_runs(&namespace, "running").await;
    let workloads_before = workloads(&namespace).await;
    first.kill().await;
    let _second =
        Operator::with_settings(&namespace, controller, |settings| settings.images.worker = "worker:new".into());
    let message = until_held(&namespace).await;
    let images = "image worker:new of inference (tailrace-worker:test runs), \
                  image worker:new of archive (tailrace-worker:test runs)";
    assert!(message.contains(images), "{message}");
    assert_eq!(workloads(&namespace).await, workloads_before);

    // The test is deleted, and its lock left behind.
    namespace.delete::<LoadTest>("running").await;
    lock(&namespace, json!({ "name": "running", "uid": "of-nobody" })).await;
    let upgraded = |deployment: &Deployment| {
        let container = &deployment.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers[0];
        container.image.as_deref() == Some("worker:new")
    };
    namespace.until::<Deployment>("cifar-inference", "upgraded", upgraded).await;
}

#[tokio::test]
async fn what_somebody_deletes_under_a_test_is_made_again() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    becomes_ready(&namespace).await;
    test_runs(&namespace, "running").await;
    let first: Service = namespace.get("cifar-kafka").await;
    namespace.delete::<Service>("cifar-kafka").await;
    let second = |service: &Service| service.uid() != first.uid();
    namespace.until::<Service>("cifar-kafka", "made again", second).await;

    change(&namespace, json!({ "inference": { "maxBatch": 3 } })).await;
    until_held(&namespace).await;
    let third: Service = namespace.get("cifar-kafka").await;
    namespace.delete::<Service>("cifar-kafka").await;
    let fourth = |service: &Service| service.uid() != third.uid();
    namespace.until::<Service>("cifar-kafka", "made again while a change is held back", fourth).await;
}

#[tokio::test]
async fn a_test_that_is_queued_holds_nothing_back() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    everything_runs(&namespace).await;
    let topics = job_of(&namespace, "topics", "").await;
    pod_ends(&namespace, &topics, 0, TOPICS).await;
    test_runs(&namespace, "queued").await;
    lock(&namespace, Value::Null).await;
    let before = namespace.get::<Pipeline>("cifar").await.status.unwrap().revision;
    change(&namespace, json!({ "inference": { "maxBatch": 3 } })).await;
    let changed = |pipeline: &Pipeline| pipeline.status.as_ref().unwrap().revision != before;
    namespace.until::<Pipeline>("cifar", "changed", changed).await;
}
