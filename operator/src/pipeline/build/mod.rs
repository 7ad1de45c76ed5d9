//! From a validated Pipeline to the objects that make it up: pure functions, no client.

pub mod claims;
mod database;
pub mod documents;
mod jobs;
pub mod kafka;
mod network;
mod permissions;
mod pods;
mod stateful_set;
mod workers;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, PodTemplateSpec, Service},
    networking::v1::NetworkPolicy,
};
use kube::{ResourceExt, core::ObjectMeta};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use permissions::Permissions;

use super::validate::{Database, Kafka, Validated};
use crate::{
    labels::{self, Component},
    settings::Images,
};

/// The objects of a Pipeline.
#[derive(Clone, Debug)]
pub struct Resources {
    /// The addresses of a managed broker and a managed database.
    pub services: Vec<Service>,
    /// Who may reach which pods.
    pub network_policies: Vec<NetworkPolicy>,
    /// What the workers may do.
    pub permissions: Permissions,
    /// The claims of the volumes of the managed servers.
    pub claims: Vec<(Component, PersistentVolumeClaim)>,
    /// The managed broker.
    pub kafka: Option<StatefulSet>,
    /// The managed database.
    pub database: Option<StatefulSet>,
    /// The classifier or, in the topology Split, its server and the consumer that asks it.
    pub inference: Vec<(Component, Deployment)>,
    /// The db-consumer.
    pub archive: Option<Deployment>,
    /// Makes the topics. Its name lacks the number of the attempt.
    pub topics: Job,
    /// Sends one image through. Its name, which lacks the number of the attempt, is one for each set of pods: with a
    /// new model or a new image the check is a new one.
    pub check: Job,
    /// Where Kafka answers.
    pub bootstrap_servers: String,
}

/// Builds all objects of a Pipeline.
pub fn build(pipeline: &Validated, images: &Images) -> Resources {
    let kafka = match &pipeline.kafka {
        Kafka::Managed { disk, heap, .. } => Some(kafka::broker(pipeline, images, disk, *heap)),
        Kafka::External { .. } => None,
    };
    let database = match &pipeline.database {
        Database::Managed { database } => Some(database::server(pipeline, images, database)),
        Database::None | Database::External { .. } => None,
    };
    let inference = workers::inference(pipeline, images);
    let archive = pipeline.archive.enabled.then(|| workers::archive(pipeline, images));

    let topics = jobs::topics(pipeline, images);
    let sets = [kafka.as_ref(), database.as_ref()].into_iter().flatten();
    let deployments = inference.iter().map(|(_, deployment)| deployment).chain(archive.as_ref());
    let pods: Vec<&PodTemplateSpec> = sets
        .filter_map(|set| Some(&set.spec.as_ref()?.template))
        .chain(deployments.filter_map(|deployment| Some(&deployment.spec.as_ref()?.template)))
        .chain(topics.spec.as_ref().map(|job| &job.template))
        .collect();
    let check = jobs::check(pipeline, images, &pods);
    Resources {
        services: network::services(pipeline),
        network_policies: network::policies(pipeline),
        permissions: permissions::permissions(pipeline),
        bootstrap_servers: kafka::bootstrap_servers(pipeline),
        claims: claims::claims(pipeline),
        kafka,
        database,
        inference,
        archive,
        topics,
        check,
    }
}

impl Resources {
    /// Names the Jobs after what they depend on besides the spec, such as the UIDs of the volumes that `topics` and
    /// `check` are about: on a new one they run again.
    pub fn name_jobs_after(&mut self, pipeline: &Validated, topics: &[String], check: &[String]) {
        for (component, job, uids) in
            [(Component::Topics, &mut self.topics, topics), (Component::Check, &mut self.check, check)]
        {
            let content = hash(&(job.name_any(), uids));
            job.metadata.name = Some(format!("{}-{content}", name_of(&pipeline.name, component)));
        }
    }
}

/// The name of the object, or one of the objects, that play `component`.
pub fn name_of(pipeline: &str, component: Component) -> String {
    format!("{pipeline}-{}", component.as_str())
}

/// Name, labels and owner of an object of `component`.
fn metadata(pipeline: &Validated, component: Component) -> ObjectMeta {
    ObjectMeta {
        name: Some(name_of(&pipeline.name, component)),
        namespace: Some(pipeline.namespace.clone()),
        labels: Some(labels::of_pipeline(&pipeline.name, component)),
        owner_references: Some(vec![pipeline.owner.clone()]),
        ..ObjectMeta::default()
    }
}

/// Eight hexadecimal digits that differ where `content` does.
pub fn hash(content: &impl Serialize) -> String {
    // The content is a tree of strings and numbers, for which serde_json knows no error.
    let json = serde_json::to_vec(content).unwrap_or_default();
    Sha256::digest(&json).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
