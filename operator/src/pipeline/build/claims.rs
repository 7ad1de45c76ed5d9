//! The claims of the volumes of the managed servers. They are no part of the StatefulSets, whose claim templates can
//! neither be changed nor keep a volume beyond its set: a volume goes with its Pipeline or not at all.

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimVolumeSource, Volume,
    VolumeResourceRequirements,
};
use tailrace_crds::pipeline::{DeletionPolicy, Storage};

use super::{metadata, name_of};
use crate::{
    labels::Component,
    pipeline::validate::{Database, Kafka, Validated},
};

/// The servers that have a volume.
pub const SERVERS: [Component; 2] = [Component::Kafka, Component::Database];

/// The name of the claim of a server, which is the one that a claim template called `data` would give it.
pub fn claim_name(pipeline: &str, component: Component) -> String {
    format!("data-{}-0", name_of(pipeline, component))
}

/// The claims of all managed servers.
pub fn claims(pipeline: &Validated) -> Vec<(Component, PersistentVolumeClaim)> {
    let kafka = match &pipeline.kafka {
        Kafka::Managed { storage, .. } => Some((Component::Kafka, storage)),
        Kafka::External { .. } => None,
    };
    let database = match &pipeline.database {
        Database::Managed { database, .. } => Some((Component::Database, &database.storage)),
        Database::None | Database::External { .. } => None,
    };
    let servers = kafka.into_iter().chain(database);
    servers.map(|(component, storage)| (component, claim(pipeline, component, storage))).collect()
}

fn claim(pipeline: &Validated, component: Component, storage: &Storage) -> PersistentVolumeClaim {
    let mut metadata = metadata(pipeline, component);
    metadata.name = Some(claim_name(&pipeline.name, component));
    metadata.owner_references =
        (pipeline.deletion_policy == DeletionPolicy::Delete).then(|| vec![pipeline.owner.clone()]);
    PersistentVolumeClaim {
        metadata,
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

/// The volume `data` of a server's pod.
pub fn volume(pipeline: &Validated, component: Component) -> Volume {
    let claim_name = claim_name(&pipeline.name, component);
    Volume {
        name: "data".into(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource { claim_name, read_only: None }),
        ..Volume::default()
    }
}
