//! The pod of `tailrace-worker` that deletes the documents of a LoadTest.

use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::PodTemplateSpec,
};
use kube::{Resource, ResourceExt, core::ObjectMeta};
use tailrace_crds::LoadTest;

use super::{
    database, pods,
    workers::{consumer_group, container, environment},
};
use crate::{
    labels::{self, Component},
    pipeline::validate::{Database, Validated},
    pod_security,
    settings::Images,
};

/// How long the worker may take.
const PATIENCE: &str = "10m";
/// How long all attempts may take together, pulling of images included.
pub const DEADLINE_SECONDS: i64 = 900;
const RETRIES: i32 = 3;

/// The Job that deletes what `load_test` has put into the database of its Pipeline, if that has one. It goes with the
/// test.
pub fn delete_documents(pipeline: &Validated, images: &Images, load_test: &LoadTest) -> Option<Job> {
    if matches!(pipeline.database, Database::None) {
        return None;
    }
    let mut environment = environment(pipeline);
    environment.extend(database::variables(pipeline));
    if pipeline.archive.enabled {
        environment.push(pods::variable("TAILRACE_ARCHIVE_GROUP", consumer_group(pipeline, Component::Archive)));
    }
    environment.extend([
        pods::variable("TAILRACE_SOURCE_PREFIX", load_test.uid()?),
        pods::variable("TAILRACE_TIMEOUT", PATIENCE),
    ]);
    let container = container(images, "delete-documents", environment);
    let mut pod = pods::pod(pipeline, Component::Documents, pod_security::WORKER_USER, container);
    let mut labels = labels::of_pipeline(&pipeline.name, Component::Documents);
    labels.insert(labels::LOAD_TEST.into(), load_test.name_any());
    if let PodTemplateSpec { metadata: Some(metadata), spec: Some(spec) } = &mut pod {
        metadata.labels.get_or_insert_default().extend(labels.clone());
        spec.restart_policy = Some("Never".into());
    }
    Some(Job {
        metadata: ObjectMeta {
            name: Some(job_name(load_test)),
            namespace: load_test.namespace(),
            labels: Some(labels),
            owner_references: load_test.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            template: pod,
            backoff_limit: Some(RETRIES),
            active_deadline_seconds: Some(DEADLINE_SECONDS),
            ..JobSpec::default()
        }),
        ..Job::default()
    })
}

/// The name of that Job.
pub fn job_name(load_test: &LoadTest) -> String {
    format!("{}-documents", load_test.name_any())
}
