//! What goes wrong is told in the words of who saw it, and heals by itself.

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, ResourceQuota},
};
use kube::{Resource, ResourceExt};
use serde_json::json;
use tailrace_crds::{Pipeline, conditions::types};
use tailrace_operator::conditions::find;

use crate::{
    cluster::{
        CHECKED, TOPICS, everything_runs, job_of, namespace, operator, pipeline, pod_ends, pod_is, until_event,
        until_ready, until_reason,
    },
    support::{Refusal, owned_by},
};

#[tokio::test]
async fn a_failed_check_is_told_and_tried_again() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    everything_runs(&namespace).await;
    let topics = job_of(&namespace, "topics", "").await;
    pod_ends(&namespace, &topics, 0, TOPICS).await;

    let first = job_of(&namespace, "check", "").await;
    assert!(first.ends_with("-1"), "{first}");
    let why = "no answer came within 120s";
    pod_ends(&namespace, &first, 1, why).await;
    let message = until_reason(&namespace, types::READY, "CheckFailed").await;
    assert!(message.starts_with(why), "{message}");

    let second = job_of(&namespace, "check", &first).await;
    assert_eq!(second, format!("{}-2", first.trim_end_matches("-1")));
    pod_ends(&namespace, &second, 0, CHECKED).await;
    until_ready(&namespace).await;
    until_event(&namespace, "Warning CheckFailed").await;
}

#[tokio::test]
async fn a_missing_secret_is_told_in_the_condition_and_in_an_event() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{mongodb: {external: {uriSecretRef: {name: mongo, key: uri}}}}").await;
    let deployment: Deployment = namespace.until("cifar-archive", "there", |_| true).await;
    let owner = serde_json::to_string(&deployment.controller_owner_ref(&()).unwrap()).unwrap();
    let archive = "{apiVersion: v1, kind: Pod, metadata: {name: cifar-archive-0, ownerReferences: [OWNER], labels: {
          tailrace.dev/pipeline: cifar, app.kubernetes.io/component: archive}},
        spec: {securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, containers: [{
          name: archive, image: i, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]}}";
    namespace.create_yaml::<Pod>(&archive.replace("OWNER", &owner)).await;
    let waiting =
        json!({ "waiting": { "reason": "CreateContainerConfigError", "message": "secret \"mongo\" not found" } });
    pod_is(&namespace, "cifar-archive-0", "Pending", waiting).await;

    let message = until_reason(&namespace, types::ARCHIVE_READY, "CreateContainerConfigError").await;
    assert!(message.contains("secret \"mongo\" not found"), "{message}");
    until_event(
        &namespace,
        "Warning ArchiveNotReady: 0 of 1 pods of archive are ready: pod cifar-archive-0: CreateContainerConfigError: ",
    )
    .await;
}

/// A Pipeline that owns all that is made for it, its volumes, too.
const OWNS_ALL: &str = "{deletionPolicy: Delete}";

/// The resources, with their groups, of all that the operator makes for a Pipeline.
async fn resources_of_a_pipeline() -> BTreeSet<(String, String)> {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    let uid = pipeline(&namespace, OWNS_ALL).await.uid().unwrap();
    everything_runs(&namespace).await;
    let topics = job_of(&namespace, "topics", "").await;
    pod_ends(&namespace, &topics, 0, TOPICS).await;
    job_of(&namespace, "check", "").await;
    owned_by(&namespace, &uid).await.into_iter().map(|object| (object.resource.group, object.resource.plural)).collect()
}

#[tokio::test]
async fn an_object_that_the_api_server_refuses_is_shown_with_its_sentence_until_it_is_allowed() {
    let resources = resources_of_a_pipeline().await;
    assert!(resources.len() >= 9, "{resources:?}");
    join_all(resources.iter().map(|(group, resource)| is_shown_until_it_is_allowed(group, resource))).await;
}

async fn is_shown_until_it_is_allowed(group: &str, resource: &str) {
    let namespace = namespace().await;
    let refusal = Refusal::of(&namespace, group, resource).await;
    let _operator = operator(&namespace);
    pipeline(&namespace, OWNS_ALL).await;
    let message = until_reason(&namespace, types::READY, "Refused").await;
    assert!(message.contains(&Refusal::sentence(resource)), "{message}");
    refusal.lift().await;
    let allowed = |pipeline: &Pipeline| {
        let ready = pipeline.status.as_ref().and_then(|status| find(&status.conditions, types::READY));
        ready.is_some_and(|ready| ready.reason != "Refused")
    };
    namespace.until::<Pipeline>("cifar", "allowed", allowed).await;
}

#[tokio::test]
async fn a_quota_that_admits_no_pod_of_a_job_is_shown_with_its_sentence() {
    // A namespace with a quota on limits refuses pods that have none.
    let quotas = [("pods", "{pods: '0'}", "0"), ("limits-cpu", "{limits.cpu: '4'}", "4")];
    for (name, hard, limit) in quotas {
        let namespace = namespace().await;
        let quota =
            format!("{{apiVersion: v1, kind: ResourceQuota, metadata: {{name: {name}}}, spec: {{hard: {hard}}}}}");
        namespace.create_yaml::<ResourceQuota>(&quota).await;
        // No controller of quotas runs here: what it would write is what the API server goes by.
        let counted = name.replace('-', ".");
        let status = json!({ "hard": { &counted: limit }, "used": { &counted: "0" } });
        namespace.patch_status::<ResourceQuota>(name, status).await.unwrap();
        let _operator = operator(&namespace);
        pipeline(&namespace, "{}").await;
        let told = |pipeline: &Pipeline| {
            let topics = pipeline.status.as_ref().and_then(|status| find(&status.conditions, types::TOPICS_READY));
            topics.is_some_and(|topics| topics.message.contains("quota") && topics.message.contains(&counted))
        };
        namespace.until::<Pipeline>("cifar", "told of the quota", told).await;
    }
}

#[tokio::test]
async fn topics_that_cannot_be_made_are_told() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    let topics = job_of(&namespace, "topics", "").await;
    pod_ends(&namespace, &topics, 1, "no broker answers at cifar-kafka:9092").await;
    let message = until_reason(&namespace, types::TOPICS_READY, "TopicsFailed").await;
    assert!(message.starts_with("no broker answers"), "{message}");
    let topics = job_of(&namespace, "topics", &topics).await;
    pod_ends(&namespace, &topics, 0, TOPICS).await;
    let topics_exist = until_reason(&namespace, types::TOPICS_READY, "TopicsExist").await;
    assert_eq!(topics_exist, "the topics exist with their partitions");
    becomes_ready_otherwise(&namespace).await;
}

async fn becomes_ready_otherwise(namespace: &crate::support::Namespace) {
    everything_runs(namespace).await;
    let check = job_of(namespace, "check", "").await;
    pod_ends(namespace, &check, 0, CHECKED).await;
    until_ready(namespace).await;
}
