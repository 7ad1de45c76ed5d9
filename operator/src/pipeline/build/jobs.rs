//! The pods of `tailrace-worker` that end: they make the topics, and send one image through.

use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::{EnvVar, PodTemplateSpec},
};

use super::{
    database, hash, metadata, name_of, pods,
    workers::{consumer_group, container, environment},
};
use crate::{labels::Component, pipeline::validate::Validated, pod_security, settings::Images};

/// How long one attempt may take, pulling of images included; the next one comes after a pause.
const DEADLINE_SECONDS: i64 = 300;
/// How long a worker itself waits for what it needs, before it says what was missing.
const PATIENCE: &str = "120s";
/// How long the check waits at most, however much is ahead of its image: it says so before its deadline.
const LONGEST: &str = "240s";

/// Creates the topics that are missing, and raises partitions.
pub fn topics(pipeline: &Validated, images: &Images) -> Job {
    let mut environment = environment(pipeline);
    environment.extend([
        pods::variable("TAILRACE_IMAGES_PARTITIONS", pipeline.topics.images.partitions.to_string()),
        pods::variable("TAILRACE_INFERENCES_PARTITIONS", pipeline.topics.inferences.partitions.to_string()),
    ]);
    job(pipeline, images, Component::Topics, environment, &[])
}

/// Sends one image through the whole Pipeline. Another set of `pods` is checked by another Job.
pub fn check(pipeline: &Validated, images: &Images, pods: &[&PodTemplateSpec]) -> Job {
    let mut environment = environment(pipeline);
    environment.extend(database::variables(pipeline));
    environment.extend([
        pods::variable("TAILRACE_INFERENCE_GROUP", consumer_group(pipeline, Component::Inference)),
        pods::variable("TAILRACE_LONGEST", LONGEST),
    ]);
    if pipeline.archive.enabled {
        environment.push(pods::variable("TAILRACE_ARCHIVE_GROUP", consumer_group(pipeline, Component::Archive)));
    }
    job(pipeline, images, Component::Check, environment, pods)
}

fn job(
    pipeline: &Validated,
    images: &Images,
    component: Component,
    mut environment: Vec<EnvVar>,
    others: &[&PodTemplateSpec],
) -> Job {
    environment.push(pods::variable("TAILRACE_TIMEOUT", PATIENCE));
    let container = container(images, component.as_str(), environment);
    let mut pod = pods::pod(pipeline, component, pod_security::WORKER_USER, container);
    if let Some(spec) = &mut pod.spec {
        spec.restart_policy = Some("Never".into());
    }

    let mut metadata = metadata(pipeline, component);
    // The template of a Job cannot be changed: what differs has another name. A Pipeline made anew has another UID.
    let content = hash(&(&pipeline.uid, &pod, others));
    metadata.name = Some(format!("{}-{content}", name_of(&pipeline.name, component)));
    Job {
        metadata,
        spec: Some(JobSpec {
            template: pod,
            // One pod an attempt: the operator makes the attempts, and tells why each has failed.
            backoff_limit: Some(0),
            active_deadline_seconds: Some(DEADLINE_SECONDS),
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}
