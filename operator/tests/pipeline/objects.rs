//! What the operator makes, keeps as it should be, and takes away.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::Service,
    networking::v1::NetworkPolicy,
};
use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tailrace_crds::Pipeline;

use crate::{
    cluster::{job_of, namespace, operator, pipeline},
    support::{Kind, Namespace},
};

/// The object, as soon as it is there, must be applied by the Pipeline's manager and owned by the Pipeline of that UID.
async fn is_made<K: Kind>(namespace: &Namespace, name: &str, owner: &str) {
    let object: K = namespace.until(name, "owned", |object: &K| owner_of(object) == Some(owner)).await;
    let managers = object.meta().managed_fields.clone().unwrap();
    let applied = managers.iter().any(|entry| {
        (entry.manager.as_deref(), entry.operation.as_deref()) == (Some("tailrace-pipeline"), Some("Apply"))
    });
    assert!(applied, "{name} was not applied by tailrace-pipeline: {managers:#?}");
}

fn owner_of(object: &impl Resource) -> Option<&str> {
    match object.meta().owner_references.as_deref()? {
        [owner] => Some(owner.uid.as_str()),
        _ => None,
    }
}

#[tokio::test]
async fn an_empty_spec_becomes_its_objects_all_owned_by_the_pipeline() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    let uid = pipeline(&namespace, "{}").await.uid().unwrap();
    for name in ["cifar-kafka", "cifar-database"] {
        is_made::<StatefulSet>(&namespace, name, &uid).await;
        is_made::<Service>(&namespace, name, &uid).await;
        is_made::<NetworkPolicy>(&namespace, name, &uid).await;
    }
    for name in ["cifar-inference", "cifar-archive"] {
        is_made::<Deployment>(&namespace, name, &uid).await;
    }
    is_made::<NetworkPolicy>(&namespace, "cifar-inference", &uid).await;
    for component in ["topics", "check"] {
        is_made::<Job>(&namespace, &job_of(&namespace, component, "").await, &uid).await;
    }
}

#[tokio::test]
async fn what_others_change_or_delete_is_put_back() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    let made: Deployment = namespace.until("cifar-inference", "there", |_| true).await;

    let patch = Patch::Merge(json!({ "spec": { "replicas": 7 } }));
    namespace.api::<Deployment>().patch("cifar-inference", &PatchParams::default(), &patch).await.unwrap();
    let replicas = |deployment: &Deployment| deployment.spec.as_ref().unwrap().replicas;
    namespace.until::<Deployment>("cifar-inference", "of one pod", |now| replicas(now) == Some(1)).await;

    namespace.delete::<Deployment>("cifar-inference").await;
    namespace.until::<Deployment>("cifar-inference", "made anew", |now| now.uid() != made.uid()).await;
}

#[tokio::test]
async fn external_servers_are_only_used() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    let spec = "{kafka: {external: {bootstrapServers: 'k:9092'}}, \
                 mongodb: {external: {uriSecretRef: {name: mongo, key: uri}}}}";
    pipeline(&namespace, spec).await;
    namespace.until::<Deployment>("cifar-archive", "there", |_| true).await;
    let known = |pipeline: &Pipeline| pipeline.status.as_ref().is_some_and(|status| status.kafka.is_some());
    let status = namespace.until("cifar", "known", known).await.status.unwrap();
    assert_eq!(status.kafka.unwrap().bootstrap_servers, "k:9092");
    assert_eq!(status.database.unwrap().engine, "External");
    assert!(namespace.list::<StatefulSet>().await.is_empty());
    assert!(namespace.list::<Service>().await.is_empty());
}

#[tokio::test]
async fn an_archive_that_is_switched_off_takes_its_database_along() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    namespace.until::<Deployment>("cifar-archive", "there", |_| true).await;

    let patch = Patch::Merge(json!({ "spec": { "archive": { "enabled": false } } }));
    namespace.api::<Pipeline>().patch("cifar", &PatchParams::default(), &patch).await.unwrap();
    namespace.until_gone::<Deployment>("cifar-archive").await;
    namespace.until_gone::<StatefulSet>("cifar-database").await;
    namespace.until_gone::<Service>("cifar-database").await;
    namespace.until_gone::<NetworkPolicy>("cifar-database").await;
    namespace.get::<StatefulSet>("cifar-kafka").await;
}

#[tokio::test]
async fn a_changed_topology_takes_the_pods_of_the_other_one_away() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    let uid = pipeline(&namespace, "{}").await.uid().unwrap();
    namespace.until::<Deployment>("cifar-inference", "there", |_| true).await;
    let change_to = async |topology| {
        let patch = Patch::Merge(json!({ "spec": { "inference": { "topology": topology } } }));
        namespace.api::<Pipeline>().patch("cifar", &PatchParams::default(), &patch).await.unwrap();
    };

    change_to("Split").await;
    is_made::<Deployment>(&namespace, "cifar-inference-server", &uid).await;
    is_made::<Service>(&namespace, "cifar-inference-server", &uid).await;
    is_made::<Deployment>(&namespace, "cifar-inference-consumer", &uid).await;
    namespace.until_gone::<Deployment>("cifar-inference").await;

    change_to("Fused").await;
    is_made::<Deployment>(&namespace, "cifar-inference", &uid).await;
    namespace.until_gone::<Deployment>("cifar-inference-server").await;
    namespace.until_gone::<Service>("cifar-inference-server").await;
    namespace.until_gone::<Deployment>("cifar-inference-consumer").await;
    namespace.get::<StatefulSet>("cifar-kafka").await;
}

#[tokio::test]
async fn what_somebody_else_labelled_like_a_part_of_the_pipeline_stays() {
    let namespace = namespace().await;
    let yaml = "{apiVersion: v1, kind: Service, metadata: {name: camera, labels: {tailrace.dev/pipeline: cifar}}, \
                 spec: {ports: [{port: 80}]}}";
    namespace.create_yaml::<Service>(yaml).await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{archive: {enabled: false}}").await;
    job_of(&namespace, "topics", "").await;
    namespace.get::<Service>("camera").await;
}

#[tokio::test]
async fn a_deleted_pipeline_takes_its_objects_along() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    let check = job_of(&namespace, "check", "").await;
    namespace.delete::<Pipeline>("cifar").await;
    namespace.until_gone::<StatefulSet>("cifar-kafka").await;
    namespace.until_gone::<StatefulSet>("cifar-database").await;
    namespace.until_gone::<Service>("cifar-kafka").await;
    namespace.until_gone::<NetworkPolicy>("cifar-kafka").await;
    namespace.until_gone::<Deployment>("cifar-inference").await;
    namespace.until_gone::<Job>(&check).await;
}

#[tokio::test]
async fn a_pipeline_deleted_and_applied_again_at_once_has_its_objects_and_a_check_of_its_own() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    let first_check = job_of(&namespace, "check", "").await;
    namespace.delete::<Pipeline>("cifar").await;
    let uid = pipeline(&namespace, "{}").await.uid().unwrap();

    is_made::<StatefulSet>(&namespace, "cifar-kafka", &uid).await;
    is_made::<Deployment>(&namespace, "cifar-archive", &uid).await;
    assert_ne!(job_of(&namespace, "check", &first_check).await, first_check);
}
