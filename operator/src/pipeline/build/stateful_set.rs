//! One pod with a volume that outlives it: how the managed broker and the managed database run.

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec},
        core::v1::{
            PersistentVolumeClaim, PersistentVolumeClaimSpec, PodTemplateSpec, Probe, TCPSocketAction,
            VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::core::ObjectMeta;
use tailrace_crds::pipeline::{DeletionPolicy, Storage};

use super::{metadata, name_of};
use crate::{
    labels::{self, Component},
    pipeline::validate::Validated,
};

/// What a server is given to bring its volume in order.
const GRACE_SECONDS: i64 = 60;

/// A StatefulSet of one `pod` whose volume is called `data`.
pub fn stateful_set(
    pipeline: &Validated,
    component: Component,
    mut pod: PodTemplateSpec,
    storage: &Storage,
) -> StatefulSet {
    if let Some(spec) = &mut pod.spec {
        spec.termination_grace_period_seconds = Some(GRACE_SECONDS);
    }
    let when_deleted = match pipeline.deletion_policy {
        DeletionPolicy::Retain => "Retain",
        DeletionPolicy::Delete => "Delete",
    };
    StatefulSet {
        metadata: metadata(pipeline, component),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            selector: labels::select(&pipeline.name, component),
            service_name: Some(name_of(&pipeline.name, component)),
            template: pod,
            volume_claim_templates: Some(vec![claim(storage)]),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some(when_deleted.into()),
                when_scaled: Some("Retain".into()),
            }),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn claim(storage: &Storage) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some("data".into()), ..ObjectMeta::default() },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: storage.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".into(), storage.size.clone())].into()),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

/// A probe that opens a connection and closes it.
pub fn accepts_connections(port: i32, period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction { port: IntOrString::Int(port), host: None }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failure_threshold),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}
