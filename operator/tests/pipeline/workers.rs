//! What the workers say in the status of their Pipeline, and what the operator makes of it.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::Pod,
};
use kube::Resource;
use serde_json::{Value, json};
use tailrace_crds::{Pipeline, conditions::types};
use tailrace_operator::conditions::{find, is_true};

use crate::{
    cluster::{
        CHECKED, TOPICS, becomes_ready, deployment_is, job_of, namespace, operator, pipeline, pod_ends, until_event,
        until_ready, until_reason,
    },
    support::Namespace,
};

/// A pod of `component`, with the digest that it runs.
async fn pod(namespace: &Namespace, name: &str, component: &str, image_id: &str) {
    let workload = format!("cifar-{component}");
    let owner = match component {
        "kafka" | "database" => owner_of(&namespace.until::<StatefulSet>(&workload, "there", |_| true).await),
        _ => owner_of(&namespace.until::<Deployment>(&workload, "there", |_| true).await),
    };
    let yaml = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, ownerReferences: [{owner}], labels: {{
          tailrace.dev/pipeline: cifar, app.kubernetes.io/component: {component}}}}},
        spec: {{securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}, containers: [{{
          name: c, image: i, securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}}}]}}}}"
    );
    namespace.create_yaml::<Pod>(&yaml).await;
    let container = json!({ "name": "c", "image": "i", "imageID": image_id, "ready": true, "restartCount": 0,
        "state": { "running": {} } });
    let status = json!({ "phase": "Running", "containerStatuses": [container] });
    namespace.patch_status::<Pod>(name, status).await.unwrap();
}

fn owner_of(workload: &impl Resource<DynamicType = ()>) -> String {
    serde_json::to_string(&workload.controller_owner_ref(&()).unwrap()).unwrap()
}

/// Plays a worker that writes its entry.
async fn says(namespace: &Namespace, pod: &str, component: &str, reason: &str, besides: Value) {
    says_since(namespace, pod, component, reason, &jiff::Timestamp::now().to_string(), besides).await;
}

async fn says_since(namespace: &Namespace, pod: &str, component: &str, reason: &str, since: &str, besides: Value) {
    let mut entry = json!({ "component": component, "ready": reason == "Ready", "reason": reason, "since": since,
        "message": format!("{reason} in a sentence") });
    entry.as_object_mut().unwrap().extend(besides.as_object().unwrap().clone());
    namespace.patch_status::<Pipeline>("cifar", json!({ "workers": { pod: entry } })).await.unwrap();
}

#[tokio::test]
async fn a_topic_that_was_deleted_is_told_made_again_and_checked_again() {
    for (reason, component) in [("TopicMissing", "inference"), ("TooFewPartitions", "archive")] {
        let namespace = namespace().await;
        let _operator = operator(&namespace);
        pipeline(&namespace, "{}").await;
        pod(&namespace, "worker-1", component, "").await;
        becomes_ready(&namespace).await;
        let [topics, check] = [job_of(&namespace, "topics", "").await, job_of(&namespace, "check", "").await];
        let complete = |job: &Job| job.status.as_ref().is_some_and(|status| status.completion_time.is_some());
        namespace.until::<Job>(&topics, "complete", complete).await;
        namespace.until::<Job>(&check, "complete", complete).await;

        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        says(&namespace, "worker-1", component, reason, json!({})).await;
        deployment_is(&namespace, &format!("cifar-{component}"), 0).await;
        let sentence = format!("{reason} in a sentence");
        let message = until_reason(&namespace, types::TOPICS_READY, reason).await;
        assert!(message.starts_with(&sentence), "{message}");
        let part = if component == "inference" { types::INFERENCE_READY } else { types::ARCHIVE_READY };
        let message = until_reason(&namespace, part, reason).await;
        assert_eq!(message, format!("0 of 1 pods of {component} are ready: {sentence}"));
        until_event(&namespace, &format!("Warning TopicsNotReady: {sentence}")).await;

        let topics_again = job_of(&namespace, "topics", &topics).await;
        pod_ends(&namespace, &topics_again, 0, TOPICS).await;
        namespace.until::<Job>(&topics_again, "complete", complete).await;
        says(&namespace, "worker-1", component, "Ready", json!({})).await;
        deployment_is(&namespace, &format!("cifar-{component}"), 1).await;
        let check_again = job_of(&namespace, "check", &check).await;
        pod_ends(&namespace, &check_again, 0, CHECKED).await;
        until_ready(&namespace).await;
    }
}

#[tokio::test]
async fn a_consumer_that_cannot_work_says_why() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{inference: {topology: Split}}").await;
    for (component, deployment, reason, part) in [
        ("inference-consumer", "cifar-inference-consumer", "NotAuthorized", types::INFERENCE_READY),
        ("archive", "cifar-archive", "DatabaseAway", types::ARCHIVE_READY),
    ] {
        deployment_is(&namespace, "cifar-inference-server", 1).await;
        deployment_is(&namespace, deployment, 0).await;
        pod(&namespace, component, component, "").await;
        says(&namespace, component, component, reason, json!({})).await;
        let message = until_reason(&namespace, part, reason).await;
        assert_eq!(message, format!("0 of 1 pods of {component} are ready: {reason} in a sentence"));
    }
}

#[tokio::test]
async fn a_codec_that_no_worker_reads_is_told_with_the_topics() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    pod(&namespace, "worker-1", "inference", "").await;
    becomes_ready(&namespace).await;
    let topics = job_of(&namespace, "topics", "").await;
    says(&namespace, "worker-1", "inference", "UnsupportedCodec", json!({})).await;
    until_reason(&namespace, types::TOPICS_READY, "UnsupportedCodec").await;
    assert_eq!(job_of(&namespace, "topics", "").await, topics, "the topics Job cannot mend it");
}

#[tokio::test]
async fn the_entry_of_a_pod_that_is_gone_means_nothing_and_goes() {
    let namespace = namespace().await;
    pipeline(&namespace, "{}").await;
    says_since(&namespace, "gone", "archive", "DatabaseAway", "2026-01-01T00:00:00Z", json!({})).await;
    says(&namespace, "new", "archive", "Starting", json!({})).await;
    let _operator = operator(&namespace);
    let forgotten = |pipeline: &Pipeline| !pipeline.status.as_ref().unwrap().workers.contains_key("gone");
    let status = namespace.until::<Pipeline>("cifar", "without the entry", forgotten).await.status.unwrap();
    assert!(status.workers.contains_key("new"), "its pod may not have been seen yet");
    until_reason(&namespace, types::ARCHIVE_READY, "Starting").await;
}

#[tokio::test]
async fn room_gaps_and_digests_are_in_the_status_and_need_no_other_check() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    pod(&namespace, "worker-1", "archive", "docker.io/x/worker@sha256:aa").await;
    becomes_ready(&namespace).await;
    let volumes = json!({ "database": { "usedBytes": 90, "capacityBytes": 100 }, "kafka": { "usedBytes": 5, "capacityBytes": 100 } });
    let skipped = json!({ "records": 1204, "lastTime": jiff::Timestamp::now().to_string() });
    says(&namespace, "worker-1", "archive", "Ready", json!({ "volumes": volumes, "skipped": skipped })).await;

    let message = until_reason(&namespace, types::STORAGE_READY, "AlmostFull").await;
    assert!(message.starts_with("the volume of PersistentVolumeClaim data-cifar-database-0 is 90 % full"), "{message}");
    let message = until_reason(&namespace, types::RECORDS_KEPT, "RecordsSkipped").await;
    assert!(message.starts_with("Kafka deleted 1204 records before they were read"), "{message}");
    until_event(&namespace, "Warning RecordsKeptRecordsSkipped: Kafka deleted 1204 records").await;
    until_event(&namespace, "Warning StorageNotReady: the volume of").await;
    let status = namespace.get::<Pipeline>("cifar").await.status.unwrap();
    assert!(is_true(&status.conditions, types::READY));
    let database = status.storage.iter().find(|volume| volume.component == "database").unwrap();
    assert_eq!((database.used_bytes, database.free_bytes), (Some(90), Some(10)));
    assert_eq!(status.images["archive"], "tailrace-worker:test@sha256:aa");
}

#[tokio::test]
async fn two_pipelines_on_the_same_topics_know_of_each_other() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{archive: {enabled: false}}").await;
    let alone = until_reason(&namespace, types::TOPICS_EXCLUSIVE, "NotShared").await;
    assert!(alone.starts_with("no other Pipeline"), "{alone}");
    let second = "{apiVersion: tailrace.dev/v1alpha1, kind: Pipeline, metadata: {name: second}, spec: {
        archive: {enabled: false}, kafka: {external: {bootstrapServers: 'cifar-kafka:9092'}}, topics: {deadLetter: {name: d}}}}";
    namespace.create_yaml::<Pipeline>(second).await;
    let told = |pipeline: &Pipeline| {
        let status = pipeline.status.as_ref();
        let condition = status.and_then(|status| find(&status.conditions, types::TOPICS_EXCLUSIVE));
        condition.is_some_and(|condition| condition.status == "False")
    };
    for (name, other) in [("second", "cifar"), ("cifar", "second")] {
        let status = namespace.until::<Pipeline>(name, "sharing", told).await.status.unwrap();
        let message = find(&status.conditions, types::TOPICS_EXCLUSIVE).unwrap().message.clone();
        let expected = format!(
            "Pipeline {}/{other} uses the topics inferences, iot_images of the same Kafka: each classifies",
            namespace.name
        );
        assert!(message.starts_with(&expected), "{message}");
    }
}
