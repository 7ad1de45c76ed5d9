//! How a Pipeline becomes Ready, and stays so.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, batch::v1::Job, core::v1::Pod};
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tailrace_crds::{Pipeline, conditions::types};
use tailrace_operator::{conditions::is_true, pipeline::controller, settings::Settings};

use crate::{
    cluster::{
        CHECKED, TOPICS, becomes_ready, deployment_is, everything_runs, job_of, namespace, operator, pipeline,
        pod_ends, stateful_set_is, until_event, until_ready, until_reason,
    },
    support::Operator,
};

#[tokio::test]
async fn ready_comes_after_an_image_went_through_and_not_before() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    until_reason(&namespace, types::READY, "KafkaNotReady").await;

    stateful_set_is(&namespace, "cifar-kafka", true).await;
    until_reason(&namespace, types::READY, "TopicsNotReady").await;
    let topics = job_of(&namespace, "topics", "").await;
    pod_ends(&namespace, &topics, 0, TOPICS).await;
    until_reason(&namespace, types::READY, "DatabaseNotReady").await;
    stateful_set_is(&namespace, "cifar-database", true).await;
    until_reason(&namespace, types::READY, "InferenceNotReady").await;
    deployment_is(&namespace, "cifar-inference", 1).await;
    until_reason(&namespace, types::READY, "ArchiveNotReady").await;
    deployment_is(&namespace, "cifar-archive", 1).await;
    until_reason(&namespace, types::READY, "Checking").await;
    let check = job_of(&namespace, "check", "").await;
    pod_ends(&namespace, &check, 0, CHECKED).await;

    let ready = until_ready(&namespace).await;
    let status = ready.status.unwrap();
    for type_ in ["KafkaReady", "TopicsReady", "DatabaseReady", "InferenceReady", "ArchiveReady"] {
        assert!(is_true(&status.conditions, type_), "{type_}");
    }
    assert_eq!(status.checked_generation, ready.metadata.generation);
    let expected = format!("cifar-kafka.{}.svc:9092", namespace.name);
    assert_eq!(status.kafka.unwrap().bootstrap_servers, expected);
    assert_eq!(status.model.unwrap().sha256, "4242");
    assert_eq!(status.topics.iter().find(|topic| topic.name == "iot_images").unwrap().partitions, 12);
    assert_eq!(status.images["database"], "mongo:8.0.20");
    until_event(&namespace, "Normal Checked: an image went through").await;
}

#[tokio::test]
async fn split_the_inference_is_ready_when_server_and_consumer_are() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{inference: {topology: Split}, archive: {enabled: false}}").await;
    stateful_set_is(&namespace, "cifar-kafka", true).await;
    let topics = job_of(&namespace, "topics", "").await;
    pod_ends(&namespace, &topics, 0, TOPICS).await;

    deployment_is(&namespace, "cifar-inference-consumer", 1).await;
    let message = until_reason(&namespace, types::READY, "InferenceNotReady").await;
    assert_eq!(message, "0 of 1 pods of inference-server are ready");
    deployment_is(&namespace, "cifar-inference-server", 1).await;
    let check = job_of(&namespace, "check", "").await;
    pod_ends(&namespace, &check, 0, CHECKED).await;

    let images = until_ready(&namespace).await.status.unwrap().images;
    assert_eq!(images["inference-server"], images["inference-consumer"]);
    assert!(!images.contains_key("inference"), "{images:?}");
}

#[tokio::test]
async fn after_a_change_of_topology_the_check_waits_for_the_end_of_the_old_pods() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{archive: {enabled: false}}").await;
    stateful_set_is(&namespace, "cifar-kafka", true).await;
    deployment_is(&namespace, "cifar-inference", 1).await;
    let first = job_of(&namespace, "check", "").await;
    let deployment = namespace.get::<Deployment>("cifar-inference").await;
    let owner = deployment.controller_owner_ref(&()).unwrap();
    let template = deployment.spec.unwrap().template;
    let mut old = Pod { metadata: template.metadata.unwrap(), spec: template.spec, ..Pod::default() };
    old.metadata.name = Some("old".into());
    old.metadata.owner_references = Some(vec![owner]);
    // It takes its time to end: its Deployment is gone before it is.
    old.metadata.finalizers = Some(vec!["example.com/slow".into()]);
    namespace.api::<Pod>().create(&PostParams::default(), &old).await.unwrap();

    let patch = Patch::Merge(json!({ "spec": { "inference": { "topology": "Split" } } }));
    namespace.api::<Pipeline>().patch("cifar", &PatchParams::default(), &patch).await.unwrap();
    deployment_is(&namespace, "cifar-inference-server", 1).await;
    deployment_is(&namespace, "cifar-inference-consumer", 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let checks = namespace.list::<Job>().await.into_iter().filter(|job| job.name_any().contains("-check-"));
    assert!(checks.map(|job| job.name_any()).all(|name| name == first), "a check met the old pods");

    let ended = Patch::Merge(json!({ "metadata": { "finalizers": [] } }));
    namespace.api::<Pod>().patch("old", &PatchParams::default(), &ended).await.unwrap();
    job_of(&namespace, "check", &first).await;
}

#[tokio::test]
async fn a_quiet_pipeline_is_not_written_to() {
    let namespace = namespace().await;
    let operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    becomes_ready(&namespace).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before: Pipeline = namespace.get("cifar").await;
    let deployment: Deployment = namespace.get("cifar-inference").await;

    // Another operator looks at everything once more and finds nothing to do.
    operator.kill().await;
    let _operator = Operator::start(&namespace, controller);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(namespace.get::<Pipeline>("cifar").await.resource_version(), before.resource_version());
    let after: Deployment = namespace.get("cifar-inference").await;
    assert_eq!(after.resource_version(), deployment.resource_version());
}

#[tokio::test]
async fn a_lost_pod_is_told_and_its_return_needs_no_new_check() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    becomes_ready(&namespace).await;
    let check = job_of(&namespace, "check", "").await;

    deployment_is(&namespace, "cifar-inference", 0).await;
    let message = until_reason(&namespace, types::READY, "InferenceNotReady").await;
    assert_eq!(message, "0 of 1 pods of inference are ready");
    deployment_is(&namespace, "cifar-inference", 1).await;
    until_ready(&namespace).await;
    assert_eq!(job_of(&namespace, "check", "").await, check);
}

#[tokio::test]
async fn what_the_jobs_reported_outlives_their_pods() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    becomes_ready(&namespace).await;
    namespace
        .api::<Pod>()
        .delete_collection(&DeleteParams::default().grace_period(0), &ListParams::default())
        .await
        .unwrap();
    deployment_is(&namespace, "cifar-archive", 0).await;
    until_reason(&namespace, types::READY, "ArchiveNotReady").await;
    deployment_is(&namespace, "cifar-archive", 1).await;
    let status = until_ready(&namespace).await.status.unwrap();
    assert_eq!(status.model.unwrap().name, "resnet20");
    assert_eq!(status.topics.len(), 3);
}

#[tokio::test]
async fn another_spec_that_changes_no_pod_needs_no_new_check() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    becomes_ready(&namespace).await;
    let patch = Patch::Merge(json!({ "spec": { "deletionPolicy": "Delete" } }));
    namespace.api::<Pipeline>().patch("cifar", &PatchParams::default(), &patch).await.unwrap();
    everything_runs(&namespace).await;
    let checked = |pipeline: &Pipeline| pipeline.status.as_ref().unwrap().checked_generation == Some(2);
    namespace.until("cifar", "checked", checked).await;
}

#[tokio::test]
async fn pods_of_another_image_are_checked_when_the_old_ones_are_gone() {
    let namespace = namespace().await;
    let first = operator(&namespace);
    pipeline(&namespace, "{}").await;
    becomes_ready(&namespace).await;
    let old_check = job_of(&namespace, "check", "").await;
    first.kill().await;

    let _newer = Operator::with_settings(&namespace, controller, |settings: &mut Settings| {
        settings.images.worker = "tailrace-worker:newer".into();
    });
    until_reason(&namespace, types::READY, "TopicsNotReady").await;
    namespace.until_gone::<Job>(&old_check).await;
    assert!(namespace.list::<Job>().await.iter().all(|job| !job.name_any().starts_with("cifar-check")));

    everything_runs(&namespace).await;
    let topics = job_of(&namespace, "topics", "").await;
    pod_ends(&namespace, &topics, 0, TOPICS).await;
    let check = job_of(&namespace, "check", &old_check).await;
    pod_ends(&namespace, &check, 0, &CHECKED.replace("4242", "4343")).await;
    let status = until_ready(&namespace).await.status.unwrap();
    assert_eq!(status.images["inference"], "tailrace-worker:newer");
    assert_eq!(status.model.unwrap().sha256, "4343");
}

#[tokio::test]
async fn an_old_pod_that_still_runs_does_not_count() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    becomes_ready(&namespace).await;
    let generation = namespace.get::<Deployment>("cifar-inference").await.metadata.generation;
    let replacing = json!({
        "observedGeneration": generation, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
    });
    namespace.patch_status::<Deployment>("cifar-inference", replacing).await.unwrap();
    let message = until_reason(&namespace, types::READY, "InferenceNotReady").await;
    assert_eq!(message, "0 of 1 pods of inference are ready");
}

#[tokio::test]
async fn the_mark_of_the_running_load_test_is_left_alone() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    let mark = json!({ "activeLoadTest": { "name": "sweep-1", "uid": "1" } });
    namespace.patch_status::<Pipeline>("cifar", mark).await.unwrap();
    let status = becomes_ready(&namespace).await.status.unwrap();
    assert_eq!(status.active_load_test.unwrap().name, "sweep-1");
}

#[tokio::test]
async fn without_an_archive_a_pipeline_is_ready_without_a_database() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{archive: {enabled: false}}").await;
    stateful_set_is(&namespace, "cifar-kafka", true).await;
    deployment_is(&namespace, "cifar-inference", 1).await;
    for (component, report) in [("topics", TOPICS), ("check", CHECKED)] {
        let job = job_of(&namespace, component, "").await;
        pod_ends(&namespace, &job, 0, report).await;
    }
    let status = until_ready(&namespace).await.status.unwrap();
    assert_eq!(status.database.unwrap().engine, "None");
    assert!(!is_true(&status.conditions, types::ARCHIVE_READY));
}
