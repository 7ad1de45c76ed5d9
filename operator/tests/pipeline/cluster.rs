//! A Pipeline, and the parts of a cluster that a test plays.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{Pod, ServiceAccount},
};
use kube::{ResourceExt, api::ListParams};
use serde_json::{Value, json};
use tailrace_crds::{Pipeline, conditions::types};
use tailrace_operator::{
    conditions::{find, is_true},
    pipeline::controller,
};

use crate::support::{Namespace, Operator, api_server};

/// The report of a topics Job that found everything.
pub const TOPICS: &str = r#"{"topics":[{"name":"iot_images","partitions":12},{"name":"inferences","partitions":12},{"name":"iot_images.dlq","partitions":1}]}"#;
/// The report of a check whose image went through.
pub const CHECKED: &str = r#"{"model":{"name":"resnet20","sha256":"4242"},"millis":31}"#;

/// A new namespace, with the ServiceAccount that every namespace has.
pub async fn namespace() -> Namespace {
    let namespace = api_server().await.namespace().await;
    namespace.create_yaml::<ServiceAccount>("{apiVersion: v1, kind: ServiceAccount, metadata: {name: default}}").await;
    namespace
}

/// The controller under test.
pub fn operator(namespace: &Namespace) -> Operator {
    Operator::start(namespace, controller)
}

/// The YAML of the Pipeline `cifar`.
pub fn yaml(spec: &str) -> String {
    format!("{{apiVersion: tailrace.dev/v1alpha1, kind: Pipeline, metadata: {{name: cifar}}, spec: {spec}}}")
}

/// The Pipeline `cifar`.
pub async fn pipeline(namespace: &Namespace, spec: &str) -> Pipeline {
    namespace.create_yaml(&yaml(spec)).await
}

/// Plays the StatefulSet controller and the kubelet: the one pod is there, ready or not.
pub async fn stateful_set_is(namespace: &Namespace, name: &str, ready: bool) {
    let generation = there::<StatefulSet>(namespace, name).await.metadata.generation;
    let status = json!({
        "observedGeneration": generation, "replicas": 1, "updatedReplicas": 1,
        "readyReplicas": i32::from(ready), "availableReplicas": i32::from(ready),
    });
    namespace.patch_status::<StatefulSet>(name, status).await.unwrap();
}

/// Plays the Deployment controller and the kubelet: so many pods are available.
pub async fn deployment_is(namespace: &Namespace, name: &str, available: i32) {
    let generation = there::<Deployment>(namespace, name).await.metadata.generation;
    let status = json!({
        "observedGeneration": generation, "replicas": 1, "updatedReplicas": 1,
        "readyReplicas": available, "availableReplicas": available,
    });
    namespace.patch_status::<Deployment>(name, status).await.unwrap();
}

async fn there<K: crate::support::Kind>(namespace: &Namespace, name: &str) -> K {
    namespace.until(name, "there", |_| true).await
}

/// All that runs for `cifar` is ready.
pub async fn everything_runs(namespace: &Namespace) {
    stateful_set_is(namespace, "cifar-kafka", true).await;
    stateful_set_is(namespace, "cifar-database", true).await;
    deployment_is(namespace, "cifar-inference", 1).await;
    deployment_is(namespace, "cifar-archive", 1).await;
}

/// The name of the Job of that component, as soon as it is there and not called `but_not`.
pub async fn job_of(namespace: &Namespace, component: &str, but_not: &str) -> String {
    let selector = ListParams::default().labels(&format!("app.kubernetes.io/component={component}"));
    for _ in 0..600 {
        let jobs = namespace.api::<Job>().list(&selector).await.unwrap();
        let current = |job: &&Job| job.metadata.deletion_timestamp.is_none() && job.name_any() != but_not;
        if let Some(job) = jobs.iter().find(current) {
            return job.name_any();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("there is no {component} Job but {but_not:?}");
}

/// Plays the kubelet: the newest pod of a Job ends with that exit code and termination message.
pub async fn pod_ends(namespace: &Namespace, job: &str, exit_code: i32, message: &str) {
    let state = json!({ "terminated": { "exitCode": exit_code, "message": message } });
    let phase = if exit_code == 0 { "Succeeded" } else { "Failed" };
    let pod = unfinished_pod(namespace, job).await;
    pod_is(namespace, &pod, phase, state).await;
}

/// Plays the kubelet: the container of a pod is in that state.
pub async fn pod_is(namespace: &Namespace, pod: &str, phase: &str, state: Value) {
    let container = json!({
        "name": "container", "image": "image", "imageID": "", "ready": false, "restartCount": 0, "state": state,
    });
    namespace.patch_status::<Pod>(pod, json!({ "phase": phase, "containerStatuses": [container] })).await.unwrap();
}

/// The name of the pod of a Job that has not ended yet.
pub async fn unfinished_pod(namespace: &Namespace, job: &str) -> String {
    let selector = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
    for _ in 0..600 {
        let pods = namespace.api::<Pod>().list(&selector).await.unwrap();
        let unfinished = |pod: &&Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            !matches!(phase, Some("Succeeded" | "Failed"))
        };
        if let Some(pod) = pods.iter().find(unfinished) {
            return pod.name_any();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("Job {job} has no unfinished pod");
}

/// Everything runs, and both Jobs succeed.
pub async fn becomes_ready(namespace: &Namespace) -> Pipeline {
    everything_runs(namespace).await;
    let topics = job_of(namespace, "topics", "").await;
    pod_ends(namespace, &topics, 0, TOPICS).await;
    let check = job_of(namespace, "check", "").await;
    pod_ends(namespace, &check, 0, CHECKED).await;
    until_ready(namespace).await
}

/// The Pipeline as soon as it is Ready.
pub async fn until_ready(namespace: &Namespace) -> Pipeline {
    let ready = |pipeline: &Pipeline| {
        pipeline.status.as_ref().is_some_and(|status| {
            is_true(&status.conditions, types::READY) && status.observed_generation == pipeline.metadata.generation
        })
    };
    namespace.until("cifar", "Ready", ready).await
}

/// The message of a condition, as soon as it has that reason.
pub async fn until_reason(namespace: &Namespace, type_: &str, reason: &str) -> String {
    let has_reason = |pipeline: &Pipeline| {
        let conditions = pipeline.status.iter().flat_map(|status| find(&status.conditions, type_));
        conditions.into_iter().any(|condition| condition.reason == reason)
    };
    let pipeline = namespace.until("cifar", &format!("{type_} for {reason}"), has_reason).await;
    let status = pipeline.status.unwrap();
    find(&status.conditions, type_).unwrap().message.clone()
}

/// Waits for an event about `cifar` that begins like that.
pub async fn until_event(namespace: &Namespace, beginning: &str) {
    namespace.until_event("cifar", beginning).await;
}
