//! What is there of a Pipeline besides what its writes return: Jobs and pods.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::{Resource, ResourceExt, core::ObjectMeta};
use tailrace_crds::{Pipeline, pipeline::WorkerStatus};

use super::{build::Resources, volumes::Volume};
use crate::{
    labels::{COMPONENT, Component, PIPELINE},
    pods::{self, Trouble},
    watch::Watches,
};

/// The workloads as the API server returned them, and what they have made.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The volumes of the managed servers.
    pub volumes: Vec<Volume>,
    /// The managed broker.
    pub kafka: Option<StatefulSet>,
    /// The managed database.
    pub database: Option<StatefulSet>,
    /// The classifier or, in the topology Split, its server and the consumer that asks it.
    pub inference: Vec<(Component, Deployment)>,
    /// The db-consumer.
    pub archive: Option<Deployment>,
    /// The Jobs of this Pipeline, of this and of earlier generations.
    pub jobs: Vec<Job>,
    /// The pods of this Pipeline.
    pub pods: Vec<Pod>,
    /// What those of them say that read from Kafka.
    pub workers: Vec<WorkerStatus>,
    /// What is said of other Pipelines on the same topics.
    pub neighbours: Vec<String>,
}

impl Observed {
    /// The volume of a managed server.
    pub fn volume(&self, component: Component) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.component == component)
    }

    /// The UIDs of the StatefulSets and of the claims of those servers: others mean other topics and other documents.
    pub fn uids(&self, servers: &[Component]) -> Vec<String> {
        let sets = [(Component::Kafka, &self.kafka), (Component::Database, &self.database)];
        let sets = sets.into_iter().filter_map(|(component, set)| Some((component, set.as_ref()?.uid()?)));
        let claims = self.volumes.iter().filter_map(|volume| Some((volume.component, volume.claim.as_ref()?.uid()?)));
        let all = sets.chain(claims).filter(|(component, _)| servers.contains(component));
        all.map(|(_, uid)| uid).collect()
    }

    /// What keeps a pod of `component` from running.
    pub fn trouble(&self, component: Component) -> Option<Trouble> {
        self.pods_of(component).find_map(pods::trouble)
    }

    /// What keeps the pod of `job` from running. One that has ended is not in trouble any more.
    pub fn trouble_of_job(&self, job: Option<&Job>) -> Option<Trouble> {
        let ended = |pod: &&Pod| pods::last_words(pod).is_some();
        self.pods_of_job(job?).filter(|pod| !ended(pod)).find_map(pods::trouble)
    }

    /// What the pod of `job` that succeeded wrote at its end.
    pub fn report(&self, job: &Job) -> Option<&str> {
        self.last_words(job, true)
    }

    /// What the newest pod of `job` that failed wrote at its end.
    pub fn complaint(&self, job: &Job) -> Option<&str> {
        self.last_words(job, false)
    }

    fn last_words(&self, job: &Job, succeeded: bool) -> Option<&str> {
        self.pods_of_job(job)
            .filter_map(|pod| Some((pod.creation_timestamp(), pods::last_words(pod)?)))
            .filter(|(_, words)| words.succeeded == succeeded)
            .max_by_key(|(created, _)| created.clone())
            .map(|(_, words)| words.text)
    }

    fn pods_of_job(&self, job: &Job) -> impl Iterator<Item = &Pod> {
        let name = job.metadata.name.as_ref();
        self.pods.iter().filter(move |pod| pod.labels().get("batch.kubernetes.io/job-name") == name)
    }

    /// The digests that the pods of a component run, as the nodes name them.
    pub fn image_ids(&self, component: Component) -> BTreeSet<String> {
        let statuses = self.pods_of(component).filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref());
        statuses.flatten().map(|container| container.image_id.clone()).filter(|id| !id.is_empty()).collect()
    }

    fn pods_of(&self, component: Component) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(move |pod| {
            pod.labels().get(COMPONENT).is_some_and(|label| label == component.as_str())
                && pod.metadata.deletion_timestamp.is_none()
        })
    }

    /// Whether no pod of an earlier generation or of another topology is left, so that a check meets the new ones only.
    pub fn is_rolled_out(&self) -> bool {
        const INFERENCE: [Component; 3] =
            [Component::Inference, Component::InferenceServer, Component::InferenceConsumer];
        let is_wanted = |component: &Component| self.inference.iter().any(|(wanted, _)| wanted == component);
        let mut unwanted = INFERENCE.into_iter().filter(|component| !is_wanted(component));
        let none_of_another_topology = unwanted.all(|component| self.pods_of(component).next().is_none());
        let sets = [&self.kafka, &self.database].into_iter().flatten().all(|set| {
            let status = set.status.clone().unwrap_or_default();
            is_observed(&set.metadata, status.observed_generation)
                && status.replicas == status.updated_replicas.unwrap_or(0)
        });
        let deployments = self.inference.iter().map(|(_, deployment)| deployment).chain(&self.archive);
        let deployments = deployments.into_iter().all(|deployment| {
            let status = deployment.status.clone().unwrap_or_default();
            is_observed(&deployment.metadata, status.observed_generation) && status.replicas == status.updated_replicas
        });
        let volumes = self.volumes.iter().all(|volume| volume.why_unusable().is_none());
        none_of_another_topology && sets && deployments && volumes
    }
}

/// Whether the status is of this generation. The first has no older pods, whatever the status says.
fn is_observed(metadata: &ObjectMeta, observed: Option<i64>) -> bool {
    metadata.generation == Some(1) || metadata.generation == observed
}

/// The claims of the Pipeline, by label: those that are kept have no owner.
pub fn claims(watches: &Watches, pipeline: &Pipeline) -> Vec<PersistentVolumeClaim> {
    let (namespace, name) = (pipeline.namespace().unwrap_or_default(), pipeline.name_any());
    let claims = watches.claims().list(&namespace, |claim| is_labelled(claim, &name));
    claims.into_iter().map(Arc::unwrap_or_clone).collect()
}

/// Those of the wanted workloads that are there, as they are.
pub fn workloads(watches: &Watches, pipeline: &Pipeline, wanted: &Resources) -> Observed {
    let namespace = pipeline.namespace().unwrap_or_default();
    let set = |wanted: &Option<StatefulSet>| {
        watches.stateful_sets().get(&namespace, &wanted.as_ref()?.name_any()).map(Arc::unwrap_or_clone)
    };
    let deployment =
        |wanted: &Deployment| watches.deployments().get(&namespace, &wanted.name_any()).map(Arc::unwrap_or_clone);
    let inference = wanted.inference.iter().filter_map(|(part, wanted)| Some((*part, deployment(wanted)?)));
    Observed {
        kafka: set(&wanted.kafka),
        database: set(&wanted.database),
        inference: inference.collect(),
        archive: wanted.archive.as_ref().and_then(deployment),
        ..Observed::default()
    }
}

/// The Jobs and pods of a Pipeline, as the watches know them. Jobs of an earlier Pipeline of the same name are not its own.
pub fn jobs_and_pods(watches: &Watches, pipeline: &Pipeline) -> (Vec<Job>, Vec<Pod>) {
    let (namespace, name) = (pipeline.namespace().unwrap_or_default(), pipeline.name_any());
    let is_producer = |labels: &BTreeMap<String, String>| {
        labels.get(COMPONENT).is_some_and(|component| component == Component::Producer.as_str())
    };
    let is_part = |job: &Job| is_labelled(job, &name) && !is_producer(job.labels()) && is_owned_by(job, pipeline);
    let jobs = watches.jobs().list(&namespace, is_part);
    let pods = watches.pods().list(&namespace, |pod| is_labelled(pod, &name) && !is_producer(pod.labels()));
    (jobs.into_iter().map(Arc::unwrap_or_clone).collect(), pods.into_iter().map(Arc::unwrap_or_clone).collect())
}

/// Whether the object is labelled as a part of the Pipeline of that name.
pub fn is_labelled(object: &impl Resource, pipeline: &str) -> bool {
    object.meta().labels.as_ref().and_then(|labels| labels.get(PIPELINE)).is_some_and(|name| name == pipeline)
}

/// Whether `owner` is among the owners of `object`.
pub fn is_owned_by(object: &impl Resource, owner: &Pipeline) -> bool {
    object.meta().owner_references.iter().flatten().any(|reference| Some(&reference.uid) == owner.metadata.uid.as_ref())
}
