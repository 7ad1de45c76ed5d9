//! The volumes of the managed servers. The tests play the controllers that bind and expand them.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod},
    storage::v1::StorageClass,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tailrace_crds::{Pipeline, conditions::types};

use crate::{
    cluster::{
        CHECKED, TOPICS, becomes_ready, everything_runs, job_of, namespace, operator, pipeline, pod_ends, until_ready,
        until_reason, yaml,
    },
    support::Namespace,
};

const KAFKA: &str = "data-cifar-kafka-0";
const DATABASE: &str = "data-cifar-database-0";

async fn change(namespace: &Namespace, spec: Value) {
    let patch = Patch::Merge(json!({ "spec": spec }));
    namespace.api::<Pipeline>().patch("cifar", &PatchParams::default(), &patch).await.unwrap();
}

async fn claim(namespace: &Namespace, name: &str) -> PersistentVolumeClaim {
    namespace.until(name, "there", |claim: &PersistentVolumeClaim| claim.metadata.deletion_timestamp.is_none()).await
}

/// Plays the controller that binds a claim to a volume of that size.
async fn is_bound(namespace: &Namespace, name: &str, size: &str) {
    claim(namespace, name).await;
    let status = json!({ "phase": "Bound", "capacity": { "storage": size } });
    namespace.patch_status::<PersistentVolumeClaim>(name, status).await.unwrap();
}

/// A claim as an earlier Pipeline left it.
async fn is_left(namespace: &Namespace, name: &str, labels: &str, class: &str, size: &str) {
    let yaml = format!(
        "{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: {name}, labels: {labels}}}, spec: {{
          accessModes: [ReadWriteOnce], storageClassName: '{class}', resources: {{requests: {{storage: {size}}}}}}}}}"
    );
    namespace.create_yaml::<PersistentVolumeClaim>(&yaml).await;
    is_bound(namespace, name, size).await;
}

/// A StorageClass of that name, which belongs to no namespace.
async fn storage_class(namespace: &Namespace, expands: bool) -> String {
    let name = format!("{}-{expands}", namespace.name);
    let class = json!({ "metadata": { "name": name }, "provisioner": "test", "allowVolumeExpansion": expands });
    let classes = Api::<StorageClass>::all(namespace.client.clone());
    classes.create(&PostParams::default(), &serde_json::from_value(class).unwrap()).await.unwrap();
    name
}

fn requested(claim: &PersistentVolumeClaim) -> String {
    claim.spec.as_ref().unwrap().resources.as_ref().unwrap().requests.as_ref().unwrap()["storage"].0.clone()
}

/// What each partition of the broker may keep.
fn retention(set: &StatefulSet) -> u64 {
    let environment = &set.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers[0].env;
    let properties = environment.iter().flatten().find(|variable| variable.name == "SERVER_PROPERTIES").unwrap();
    let lines = properties.value.as_ref().unwrap().lines();
    let values: BTreeMap<_, _> = lines.filter_map(|line| line.split_once('=')).collect();
    values["log.retention.bytes"].parse().unwrap()
}

#[tokio::test]
async fn a_volume_goes_with_its_pipeline_and_not_with_its_archive() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{deletionPolicy: Delete}").await;
    let before = claim(&namespace, DATABASE).await;
    namespace.until::<StatefulSet>("cifar-database", "there", |_| true).await;

    change(&namespace, json!({ "archive": { "enabled": false } })).await;
    namespace.until_gone::<StatefulSet>("cifar-database").await;
    change(&namespace, json!({ "inference": { "topology": "Split" } })).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let kept: PersistentVolumeClaim = namespace.get(DATABASE).await;
    assert_eq!((kept.uid(), kept.metadata.deletion_timestamp), (before.uid(), None));
    change(&namespace, json!({ "archive": { "enabled": true } })).await;
    namespace.until::<StatefulSet>("cifar-database", "there again", |_| true).await;

    change(&namespace, json!({ "archive": { "enabled": false } })).await;
    namespace.until_gone::<StatefulSet>("cifar-database").await;
    namespace.delete::<Pipeline>("cifar").await;
    namespace.until_gone::<PersistentVolumeClaim>(DATABASE).await;
    namespace.until_gone::<PersistentVolumeClaim>(KAFKA).await;
}

#[tokio::test]
async fn a_policy_that_changes_holds_for_the_volumes_that_are_there() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    let owners = |claim: &PersistentVolumeClaim| claim.owner_references().len();
    for name in [KAFKA, DATABASE] {
        assert_eq!(owners(&claim(&namespace, name).await), 0);
    }
    change(&namespace, json!({ "archive": { "enabled": false }, "deletionPolicy": "Delete" })).await;
    for name in [KAFKA, DATABASE] {
        namespace.until::<PersistentVolumeClaim>(name, "owned", |claim| owners(claim) == 1).await;
    }
    change(&namespace, json!({ "deletionPolicy": "Retain" })).await;
    for name in [KAFKA, DATABASE] {
        namespace.until::<PersistentVolumeClaim>(name, "nobody's", |claim| owners(claim) == 0).await;
    }
    namespace.delete::<Pipeline>("cifar").await;
    namespace.until_gone::<StatefulSet>("cifar-kafka").await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    for name in [KAFKA, DATABASE] {
        assert_eq!(namespace.get::<PersistentVolumeClaim>(name).await.metadata.deletion_timestamp, None);
    }
}

#[tokio::test]
async fn a_pipeline_replaced_by_force_starts_on_volumes_of_its_own() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{deletionPolicy: Delete}").await;
    let old = claim(&namespace, KAFKA).await;
    namespace.until::<StatefulSet>("cifar-kafka", "there", |_| true).await;
    // As kubectl replace --force does.
    namespace.delete::<Pipeline>("cifar").await;
    let new = pipeline(&namespace, "{deletionPolicy: Delete}").await.uid().unwrap();

    let is_of_new = |owners: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference]| {
        owners.iter().any(|owner| owner.uid == new)
    };
    let claim = namespace
        .until::<PersistentVolumeClaim>(KAFKA, "the new one's", |claim| is_of_new(claim.owner_references()))
        .await;
    assert_ne!(claim.uid(), old.uid());
    let set =
        namespace.until::<StatefulSet>("cifar-kafka", "the new one's", |set| is_of_new(set.owner_references())).await;
    assert!(set.creation_timestamp() >= claim.creation_timestamp(), "it started on the volume of the old one");
}

#[tokio::test]
async fn a_lost_volume_is_a_new_one_and_topics_and_check_run_again() {
    for (lost, topics_run_again) in [(KAFKA, true), (DATABASE, false)] {
        let namespace = namespace().await;
        let _operator = operator(&namespace);
        pipeline(&namespace, "{}").await;
        let old = claim(&namespace, lost).await;
        becomes_ready(&namespace).await;
        let [topics, check] = [job_of(&namespace, "topics", "").await, job_of(&namespace, "check", "").await];

        namespace.api::<PersistentVolumeClaim>().delete(lost, &DeleteParams::default()).await.unwrap();
        namespace.until::<PersistentVolumeClaim>(lost, "a new one", |claim| claim.uid() != old.uid()).await;
        let ready = |pipeline: &Pipeline| {
            let status = pipeline.status.as_ref().unwrap();
            tailrace_operator::conditions::is_true(&status.conditions, types::READY)
        };
        namespace.until::<Pipeline>("cifar", "not Ready", |pipeline| !ready(pipeline)).await;
        if topics_run_again {
            let topics = job_of(&namespace, "topics", &topics).await;
            pod_ends(&namespace, &topics, 0, TOPICS).await;
        }
        let check = job_of(&namespace, "check", &check).await;
        pod_ends(&namespace, &check, 0, CHECKED).await;
        until_ready(&namespace).await;
        if !topics_run_again {
            assert_eq!(job_of(&namespace, "topics", "").await, topics, "topics have nothing to do with the database");
        }
    }
}

#[tokio::test]
async fn a_volume_that_is_being_deleted_is_told_and_nothing_starts_on_it() {
    let namespace = namespace().await;
    let labels = "{tailrace.dev/pipeline: cifar, app.kubernetes.io/component: kafka}";
    is_left(&namespace, KAFKA, labels, "", "2Gi").await;
    let user = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: user}}, spec: {{nodeName: node-1,
          securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}},
          volumes: [{{name: data, persistentVolumeClaim: {{claimName: {KAFKA}}}}}], containers: [{{name: c, image: i,
          securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}}}]}}}}"
    );
    namespace.create_yaml::<Pod>(&user).await;
    namespace.api::<PersistentVolumeClaim>().delete(KAFKA, &DeleteParams::default()).await.unwrap();
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;

    let message = until_reason(&namespace, types::STORAGE_READY, "Unusable").await;
    assert!(message.starts_with("PersistentVolumeClaim data-cifar-kafka-0 is being deleted"), "{message}");
    assert_eq!(until_reason(&namespace, types::KAFKA_READY, "Unusable").await, message);
    assert!(namespace.api::<StatefulSet>().get_opt("cifar-kafka").await.unwrap().is_none());
    namespace.api::<Pod>().delete("user", &DeleteParams::default().grace_period(0)).await.unwrap();
    namespace.until::<StatefulSet>("cifar-kafka", "there", |_| true).await;
}

#[tokio::test]
async fn a_claim_of_somebody_else_is_not_touched() {
    let namespace = namespace().await;
    is_left(&namespace, KAFKA, "{app: something}", "", "2Gi").await;
    let before: PersistentVolumeClaim = namespace.get(KAFKA).await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{deletionPolicy: Delete}").await;
    let message = until_reason(&namespace, types::STORAGE_READY, "Unusable").await;
    assert!(message.contains("kubectl label pvc data-cifar-kafka-0 tailrace.dev/pipeline=cifar"), "{message}");
    assert_eq!(namespace.get::<PersistentVolumeClaim>(KAFKA).await.resource_version(), before.resource_version());

    let label = Patch::Merge(json!({ "metadata": { "labels": { "tailrace.dev/pipeline": "cifar" } } }));
    namespace.api::<PersistentVolumeClaim>().patch(KAFKA, &PatchParams::default(), &label).await.unwrap();
    namespace.until::<StatefulSet>("cifar-kafka", "there", |_| true).await;
}

#[tokio::test]
async fn a_small_volume_that_was_left_bounds_the_topics_until_it_has_grown() {
    let namespace = namespace().await;
    let class = storage_class(&namespace, true).await;
    let labels = "{tailrace.dev/pipeline: cifar, app.kubernetes.io/component: kafka}";
    is_left(&namespace, KAFKA, labels, &class, "2Gi").await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{kafka: {managed: {storage: {size: 20Gi}}}, archive: {enabled: false}}").await;
    let small = retention(&namespace.until::<StatefulSet>("cifar-kafka", "there", |_| true).await);
    assert!(25 * small < 2 << 30, "{small} bytes for each of 25 partitions");

    namespace.until::<PersistentVolumeClaim>(KAFKA, "asked to grow", |claim| requested(claim) == "20Gi").await;
    let message = until_reason(&namespace, types::STORAGE_READY, "Expanding").await;
    assert!(message.ends_with("is being expanded from 2Gi to 20Gi"), "{message}");
    is_bound(&namespace, KAFKA, "20Gi").await;
    assert_eq!(until_reason(&namespace, types::STORAGE_READY, "Bound").await, "kafka has 20Gi");
    let grown = |set: &StatefulSet| retention(set) > 9 * small;
    namespace.until::<StatefulSet>("cifar-kafka", "with more retention", grown).await;
    let status = namespace.get::<Pipeline>("cifar").await.status.unwrap();
    assert_eq!((status.storage[0].claim.as_str(), status.storage[0].capacity_bytes), (KAFKA, Some(20 << 30)));
}

#[tokio::test]
async fn a_volume_that_cannot_grow_is_used_as_it_is_and_that_is_told() {
    let namespace = namespace().await;
    let class = storage_class(&namespace, false).await;
    let _operator = operator(&namespace);
    let spec = format!("{{mongodb: {{managed: {{storage: {{size: 1Gi, storageClassName: {class}}}}}}}}}");
    pipeline(&namespace, &spec).await;
    is_bound(&namespace, KAFKA, "2Gi").await;
    is_bound(&namespace, DATABASE, "1Gi").await;
    until_reason(&namespace, types::STORAGE_READY, "Bound").await;

    change(&namespace, json!({ "mongodb": { "managed": { "storage": { "size": "3Gi" } } } })).await;
    let message = until_reason(&namespace, types::STORAGE_READY, "TooSmall").await;
    let expected = "PersistentVolumeClaim data-cifar-database-0 holds 1Gi and the spec wants 3Gi: ";
    assert!(message.starts_with(expected) && message.contains("allowVolumeExpansion"), "{message}");
    // It is no reason not to work.
    everything_runs(&namespace).await;
    becomes_ready(&namespace).await;
}

#[tokio::test]
async fn a_volume_grows_and_does_not_shrink() {
    let namespace = namespace().await;
    let spec = |size: &str, class: &str| yaml(&format!("{{kafka: {{managed: {{storage: {{size: {size}{class}}}}}}}}}"));
    namespace.create_yaml::<Pipeline>(&spec("2Gi", "")).await;
    let pipelines = namespace.api::<Pipeline>();
    let change = async |storage: Value| {
        let patch = Patch::Merge(json!({ "spec": { "kafka": { "managed": { "storage": storage } } } }));
        pipelines.patch("cifar", &PatchParams::default(), &patch).await.map_err(|refusal| refusal.to_string())
    };
    change(json!({ "size": "2.5Gi" })).await.unwrap();
    let refusal = change(json!({ "size": "2047Mi" })).await.unwrap_err();
    assert!(refusal.contains("write the present size or a larger one"), "{refusal}");
    let refusal = change(json!({ "storageClassName": "other" })).await.unwrap_err();
    assert!(refusal.contains("the StorageClass of a volume cannot be changed"), "{refusal}");
}

#[tokio::test]
async fn a_set_with_a_claim_template_is_replaced_and_its_pod_and_its_volume_stay() {
    let namespace = namespace().await;
    let first = operator(&namespace);
    let owner = pipeline(&namespace, "{archive: {enabled: false}}").await.uid().unwrap();
    let mut set = namespace.until::<StatefulSet>("cifar-kafka", "there", |_| true).await;
    first.kill().await;
    namespace.delete::<StatefulSet>("cifar-kafka").await;
    namespace.until_gone::<StatefulSet>("cifar-kafka").await;
    // As the operator once made them.
    let spec = set.spec.as_mut().unwrap();
    spec.template.spec.as_mut().unwrap().volumes.as_mut().unwrap().retain(|volume| volume.name != "data");
    let template = json!([{ "metadata": { "name": "data" }, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "2Gi" } } } }]);
    spec.volume_claim_templates = serde_json::from_value(template).unwrap();
    set.metadata = serde_json::from_value(json!({
        "name": "cifar-kafka", "labels": set.metadata.labels, "ownerReferences": set.metadata.owner_references,
    }))
    .unwrap();
    let old = namespace.api::<StatefulSet>().create(&PostParams::default(), &set).await.unwrap();
    let of_old = json!({ "metadata": { "ownerReferences": [{
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "cifar-kafka", "uid": old.uid() }] } });
    let claims = namespace.api::<PersistentVolumeClaim>();
    let before = claims.patch(KAFKA, &PatchParams::default(), &Patch::Merge(of_old)).await.unwrap();

    let _operator = operator(&namespace);
    let new = namespace.until::<StatefulSet>("cifar-kafka", "replaced", |set| set.uid() != old.uid()).await;
    assert_eq!(new.owner_references()[0].uid, owner);
    assert_eq!(new.spec.unwrap().volume_claim_templates, None);
    let kept =
        namespace.until::<PersistentVolumeClaim>(KAFKA, "of no set", |claim| claim.owner_references().is_empty()).await;
    assert_eq!((kept.uid(), kept.metadata.deletion_timestamp), (before.uid(), None));
    assert!(namespace.list::<Job>().await.iter().all(|job| job.metadata.deletion_timestamp.is_none()));
}
