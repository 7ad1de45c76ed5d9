//! What is there of a Pipeline besides what its writes return: Jobs and pods.

use std::{
    cmp::Reverse,
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
    load_test::observation::job_is_over,
    ownership::{Controllers, controller_of, is_owned_by},
    pods::{self, Trouble},
    warnings,
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
    /// The pods of this Pipeline, by the controllers above them.
    pub pods: Vec<Pod>,
    /// What those of them say that read from Kafka.
    pub workers: Vec<WorkerStatus>,
    /// What is said of other Pipelines on the same topics.
    pub neighbours: Vec<String>,
    /// Pods whose controller is gone, which the garbage collector will delete.
    pub leaving: Vec<Pod>,
    /// What only events say of parts that are not ready.
    pub warned: BTreeMap<Component, Trouble>,
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
        let mut pods: Vec<_> = self.pods_of(component).collect();
        // What kept an earlier pod from running is told only if no later one is in trouble.
        pods.sort_by_key(|pod| Reverse(pod.creation_timestamp()));
        pods.into_iter().find_map(pods::trouble).or_else(|| self.warned.get(&component).cloned())
    }

    /// Whose events say why a part is not ready, by its UID. Those of ReplicaSets are in the conditions of Deployments.
    pub fn whom_to_ask(&self) -> Vec<(Component, String)> {
        let sets = [(Component::Kafka, &self.kafka), (Component::Database, &self.database)];
        let sets = sets.into_iter().filter_map(|(component, set)| {
            let set = set.as_ref().filter(|set| {
                let ready = set.status.as_ref().and_then(|status| status.ready_replicas);
                ready.unwrap_or_default() < 1
            })?;
            let pods: Vec<_> = self.pods_of(component).collect();
            Some((component, warnings::whom_to_ask(set, &pods)?))
        });
        let archive = self.archive.iter().map(|archive| (Component::Archive, archive));
        let deployments = self.inference.iter().map(|(component, deployment)| (*component, deployment)).chain(archive);
        let deployments = deployments.filter_map(|(component, deployment)| {
            let pods: Vec<_> = self.pods_of(component).collect();
            let asked = (!pods.is_empty()).then(|| warnings::whom_to_ask(deployment, &pods)).flatten()?;
            Some((component, asked))
        });
        let jobs = self.jobs.iter().filter(|job| !job_is_over(job)).filter_map(|job| {
            let component = [Component::Topics, Component::Check]
                .into_iter()
                .find(|component| job.labels().get(COMPONENT).is_some_and(|label| label == component.as_str()))?;
            let pods: Vec<_> = self.pods_of_job(job).collect();
            Some((component, warnings::whom_to_ask(job, &pods)?))
        });
        sets.chain(deployments).chain(jobs).collect()
    }

    /// What keeps the pod of `job` from running. One that has ended is not in trouble any more.
    pub fn trouble_of_job(&self, component: Component, job: Option<&Job>) -> Option<Trouble> {
        let ended = |pod: &&Pod| pods::last_words(pod).is_some();
        let of_pod = self.pods_of_job(job?).filter(|pod| !ended(pod)).find_map(pods::trouble);
        of_pod.or_else(|| self.warned.get(&component).cloned())
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

    fn pods_of_job<'a>(&'a self, job: &Job) -> impl Iterator<Item = &'a Pod> + use<'a> {
        let uid = job.uid();
        let is_its = move |pod: &&Pod| controller_of(*pod).is_some_and(|owner| Some(&owner.uid) == uid.as_ref());
        self.pods.iter().filter(is_its)
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
        none_of_another_topology && self.leaving.is_empty() && sets && deployments && volumes
    }
}

/// Whether the status is of this generation. The first has no older pods, whatever the status says.
fn is_observed(metadata: &ObjectMeta, observed: Option<i64>) -> bool {
    metadata.generation == Some(1) || metadata.generation == observed
}

/// The claims of the Pipeline, by label: those that are kept have no owner.
pub fn claims(watches: &Watches, pipeline: &Pipeline) -> Vec<PersistentVolumeClaim> {
    let (namespace, name) = (pipeline.namespace().unwrap_or_default(), pipeline.name_any());
    watches.claims().of_pipeline(&namespace, &name).into_iter().map(Arc::unwrap_or_clone).collect()
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

/// What belongs to a Pipeline by its controllers.
pub struct Owned {
    /// Jobs; those of an earlier Pipeline of the same name are not its own.
    pub jobs: Vec<Job>,
    /// Pods.
    pub pods: Vec<Pod>,
    /// Pods whose controller is gone.
    pub leaving: Vec<Pod>,
}

/// The Jobs and pods of a Pipeline, as the watches know them. A pod that merely bears its labels is none of them.
pub fn jobs_and_pods(watches: &Watches, pipeline: &Pipeline) -> Owned {
    let (namespace, name) = (pipeline.namespace().unwrap_or_default(), pipeline.name_any());
    let is_producer = |labels: &BTreeMap<String, String>| {
        labels.get(COMPONENT).is_some_and(|component| component == Component::Producer.as_str())
    };
    let jobs = watches.jobs().of_pipeline(&namespace, &name).into_iter();
    let is_part = |job: &Arc<Job>| !is_producer(job.labels()) && is_owned_by(job.as_ref(), pipeline);
    let jobs: Vec<_> = jobs.filter(is_part).map(Arc::unwrap_or_clone).collect();
    let mut controllers = Controllers::known(watches, &namespace, &name);
    controllers.extend(jobs.iter().map(|job| &job.metadata));
    let pods = watches.pods().of_pipeline(&namespace, &name).into_iter().filter(|pod| !is_producer(pod.labels()));
    let (pods, others): (Vec<_>, Vec<_>) =
        pods.map(Arc::unwrap_or_clone).partition(|pod| controllers.lead_to(pod, pipeline));
    let works = |pod: &Pod| !matches!(phase(pod), Some("Succeeded" | "Failed"));
    let leaving = others.into_iter().filter(|pod| works(pod) && is_leaving(pod, &controllers, pipeline)).collect();
    Owned { jobs, pods, leaving }
}

/// Whether the object is labelled as a part of the Pipeline of that name.
pub fn is_labelled(object: &impl Resource, pipeline: &str) -> bool {
    object.meta().labels.as_ref().and_then(|labels| labels.get(PIPELINE)).is_some_and(|name| name == pipeline)
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

/// Whether the controllers of a pod lead to one that is gone and had the name of one of the Pipeline's.
fn is_leaving(pod: &Pod, controllers: &Controllers, pipeline: &Pipeline) -> bool {
    let Some((component, top)) = pod.labels().get(COMPONENT).zip(controllers.top(pod)) else { return false };
    let name = format!("{}-{component}", pipeline.name_any());
    match top.kind.as_str() {
        "Deployment" | "StatefulSet" => top.name == name,
        "ReplicaSet" => top.name.rsplit_once('-').is_some_and(|(deployment, _)| deployment == name),
        "Job" => top.name.starts_with(&format!("{name}-")),
        _ => false,
    }
}
