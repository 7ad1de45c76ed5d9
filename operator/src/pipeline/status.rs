//! What the status of a Pipeline says: a pure function of the Pipeline, its objects and the time.

mod upkeep;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::PodTemplateSpec,
};
use kube::ResourceExt;
use serde::Deserialize;
use tailrace_crds::{
    Pipeline,
    conditions::types,
    pipeline::{DatabaseStatus, KafkaStatus, Model, PipelineStatus, TopicStatus},
};

use super::{
    attempts::Attempts,
    build::Resources,
    observe::Observed,
    reasons,
    refusals::{self, Refused},
    validate::{Database, Kafka, Validated},
    volumes::Volume,
};
use crate::{
    conditions::{Conditions, Status},
    labels::Component,
};

/// What one condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    status: Status,
    reason: String,
    message: String,
    /// Whether the Pipeline can be Ready without it.
    optional: bool,
}

impl Finding {
    fn new(status: impl Into<Status>, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: status.into(), reason: reason.into(), message: message.into(), optional: false }
    }

    fn disabled(message: &str) -> Self {
        Self { optional: true, ..Self::new(false, reasons::DISABLED, message) }
    }
}

impl From<&Refused> for Finding {
    fn from(refused: &Refused) -> Self {
        Self::new(false, refused.reason, refused.message.clone())
    }
}

/// Where the two Jobs stand.
pub struct Jobs<'a> {
    /// The one that makes the topics.
    pub topics: Attempts<'a>,
    /// The one that sends an image through.
    pub check: Attempts<'a>,
}

/// The status of a Pipeline whose spec cannot be built or whose objects the API server refuses.
pub fn refused(pipeline: &Pipeline, reason: &str, message: String, now: Timestamp) -> PipelineStatus {
    let mut status = previous(pipeline);
    let mut conditions = Conditions::new(&status.conditions, pipeline.metadata.generation, now);
    conditions.set(types::READY, false, reason, message);
    nothing_held(&mut conditions);
    status.conditions = conditions.into_list();
    status.observed_generation = pipeline.metadata.generation;
    status
}

/// The status of a Pipeline of which something else is about to be made.
pub fn rolling_out(pipeline: &Pipeline, revision: String, now: Timestamp) -> PipelineStatus {
    let before = previous(pipeline);
    let mut conditions = Conditions::new(&before.conditions, pipeline.metadata.generation, now);
    let message = match before.revision {
        Some(_) => "a change of the spec or of the images is being applied",
        None => "its parts are being made",
    };
    conditions.set(types::READY, false, reasons::ROLLING_OUT, message);
    nothing_held(&mut conditions);
    PipelineStatus { revision: Some(revision), conditions: conditions.into_list(), ..before }
}

/// The status of a Pipeline that stays as it is until a LoadTest is over.
pub fn held(pipeline: &Pipeline, what: String, now: Timestamp) -> PipelineStatus {
    let before = previous(pipeline);
    let mut conditions = Conditions::new(&before.conditions, pipeline.metadata.generation, now);
    conditions.set(types::ROLLOUT_HELD, true, reasons::LOAD_TEST_ACTIVE, what);
    PipelineStatus { conditions: conditions.into_list(), ..before }
}

fn nothing_held(conditions: &mut Conditions) {
    conditions.set(types::ROLLOUT_HELD, false, reasons::NOTHING_HELD, "no change waits for the end of a LoadTest");
}

/// The last status, without what the reconciler of LoadTests and the workers write there.
pub fn previous(pipeline: &Pipeline) -> PipelineStatus {
    PipelineStatus { active_load_test: None, workers: BTreeMap::new(), ..pipeline.status.clone().unwrap_or_default() }
}

/// The status of a Pipeline whose objects were applied.
pub fn status(
    pipeline: &Pipeline,
    validated: &Validated,
    resources: &Resources,
    observed: &Observed,
    jobs: &Jobs<'_>,
    refused: &[Refused],
    now: Timestamp,
) -> PipelineStatus {
    let before = previous(pipeline);
    let generation = pipeline.metadata.generation;
    let findings = [
        (types::KAFKA_READY, kafka(validated, observed, jobs)),
        (types::TOPICS_READY, topics(observed, jobs)),
        (types::DATABASE_READY, database(validated, observed, jobs)),
        (types::INFERENCE_READY, inference(observed)),
        (types::ARCHIVE_READY, archive(validated, observed)),
        (types::STORAGE_READY, upkeep::storage(observed)),
        (types::RECORDS_KEPT, upkeep::records(observed, now)),
        (types::TOPICS_EXCLUSIVE, upkeep::exclusive(observed)),
    ];
    let findings =
        findings.map(|(type_, finding)| (type_, refusals::of_part(type_, refused).map_or(finding, Finding::from)));
    let ready = refusals::worst(refused).map_or_else(|| ready(&findings, observed, jobs), Finding::from);
    let mut conditions = Conditions::new(&before.conditions, generation, now);
    for (type_, finding) in [(types::READY, ready)].into_iter().chain(findings) {
        conditions.set(type_, finding.status, &finding.reason, finding.message);
    }
    nothing_held(&mut conditions);

    let checked = matches!(jobs.check, Attempts::Succeeded(_));
    PipelineStatus {
        observed_generation: generation,
        conditions: conditions.into_list(),
        kafka: Some(KafkaStatus { bootstrap_servers: resources.bootstrap_servers.clone() }),
        database: Some(DatabaseStatus { engine: engine(&validated.database) }),
        topics: reported::<TopicsReport>(observed, &jobs.topics).map_or(before.topics, |report| report.topics),
        storage: observed.volumes.iter().map(|volume| upkeep::volume(volume, observed)).collect(),
        model: reported::<CheckReport>(observed, &jobs.check).map(|report| report.model).or(before.model),
        images: images(resources, observed),
        revision: before.revision,
        checked_generation: if checked { generation } else { before.checked_generation },
        active_load_test: None,
        workers: BTreeMap::new(),
    }
}

/// What is in trouble comes before what only has to start.
fn ready(findings: &[(&str, Finding)], observed: &Observed, jobs: &Jobs<'_>) -> Finding {
    let missing = || findings.iter().filter(|(_, finding)| finding.status != Status::True && !finding.optional);
    let in_trouble = missing().find(|(_, finding)| !reasons::is_calm(&finding.reason));
    if let Some((type_, finding)) = in_trouble.or_else(|| missing().next()) {
        return Finding::new(false, reasons::not_ready(type_), finding.message.clone());
    }
    match &jobs.check {
        Attempts::Succeeded(_) => Finding::new(true, reasons::CHECKED, "an image went through the whole Pipeline"),
        check => attempted(observed, check, Component::Check, reasons::CHECKING, reasons::CHECK_FAILED),
    }
}

fn kafka(validated: &Validated, observed: &Observed, jobs: &Jobs<'_>) -> Finding {
    match &validated.kafka {
        Kafka::Managed { .. } => stateful_set(observed, observed.kafka.as_ref(), Component::Kafka),
        Kafka::External { bootstrap_servers } => {
            external(observed, &jobs.topics, Component::Topics, &format!("Kafka at {bootstrap_servers}"))
        }
    }
}

fn topics(observed: &Observed, jobs: &Jobs<'_>) -> Finding {
    match &jobs.topics {
        Attempts::Succeeded(_) => match observed.unreadable_topic() {
            Some(worker) => Finding::new(false, &worker.reason, &worker.message),
            None => Finding::new(true, reasons::TOPICS_EXIST, "the topics exist with their partitions"),
        },
        topics => {
            let finding = attempted(observed, topics, Component::Topics, reasons::STARTING, reasons::TOPICS_FAILED);
            match observed.missing_topic() {
                Some(worker) if finding.reason == reasons::STARTING => {
                    Finding::new(false, &worker.reason, format!("{}; {}", worker.message, finding.message))
                }
                _ => finding,
            }
        }
    }
}

fn database(validated: &Validated, observed: &Observed, jobs: &Jobs<'_>) -> Finding {
    match &validated.database {
        Database::None => Finding::disabled("archive.enabled is false: there is no database"),
        Database::Managed { .. } => stateful_set(observed, observed.database.as_ref(), Component::Database),
        Database::External { uri } => {
            let name = format!("the database of Secret {}", uri.name);
            // Only the check shows whether it answers; it says so in Ready.
            Finding { optional: true, ..external(observed, &jobs.check, Component::Check, &name) }
        }
    }
}

/// Of two Deployments the first that is not ready speaks.
fn inference(observed: &Observed) -> Finding {
    let findings = observed.inference.iter().map(|(component, found)| deployment(observed, Some(found), *component));
    let (ready, missing): (Vec<_>, Vec<_>) = findings.partition(|finding| finding.status == Status::True);
    missing.into_iter().next().unwrap_or_else(|| {
        let counts: Vec<_> = ready.into_iter().map(|finding| finding.message).collect();
        Finding::new(true, reasons::AVAILABLE, counts.join(", "))
    })
}

fn archive(validated: &Validated, observed: &Observed) -> Finding {
    if validated.archive.enabled {
        deployment(observed, observed.archive.as_ref(), Component::Archive)
    } else {
        Finding::disabled("archive.enabled is false")
    }
}

/// A server that is not ours has answered when the Job that needs it has succeeded.
fn external(observed: &Observed, attempts: &Attempts<'_>, component: Component, name: &str) -> Finding {
    match attempts {
        Attempts::Succeeded(_) => Finding::new(true, reasons::ANSWERED, format!("{name} answered")),
        _ => {
            let finding = attempted(observed, attempts, component, reasons::CONNECTING, reasons::CONNECTING);
            Finding { status: Status::Unknown, ..finding }
        }
    }
}

fn stateful_set(observed: &Observed, set: Option<&StatefulSet>, component: Component) -> Finding {
    if let Some(why) = observed.volume(component).and_then(Volume::why_unusable) {
        return Finding::new(false, reasons::UNUSABLE, why);
    }
    let wanted = set.and_then(|set| set.spec.as_ref()?.replicas).unwrap_or(1);
    let status = set.and_then(|set| set.status.clone()).unwrap_or_default();
    let current = set.is_some_and(|set| status.observed_generation == set.metadata.generation);
    let ready = if current { status.ready_replicas.unwrap_or(0).min(status.updated_replicas.unwrap_or(0)) } else { 0 };
    available(observed, component, ready, wanted, None)
}

fn deployment(observed: &Observed, deployment: Option<&Deployment>, component: Component) -> Finding {
    let wanted = deployment.and_then(|deployment| deployment.spec.as_ref()?.replicas).unwrap_or(1);
    let status = deployment.and_then(|deployment| deployment.status.clone()).unwrap_or_default();
    let current = deployment.is_some_and(|deployment| status.observed_generation == deployment.metadata.generation);
    // Some of the pods that are available may be those of an earlier generation.
    let older = status.replicas.unwrap_or(0) - status.updated_replicas.unwrap_or(0);
    let ready = if current { (status.available_replicas.unwrap_or(0) - older).max(0) } else { 0 };
    // A pod that may not even be made leaves no trace but this one.
    let refusal = status.conditions.into_iter().flatten().find(|condition| condition.type_ == "ReplicaFailure");
    available(observed, component, ready, wanted, refusal.and_then(|condition| condition.message))
}

fn available(observed: &Observed, component: Component, ready: i32, wanted: i32, refusal: Option<String>) -> Finding {
    let count = format!("{ready} of {wanted} pods of {} are ready", component.as_str());
    if ready >= wanted {
        return Finding::new(true, reasons::AVAILABLE, count);
    }
    match (refusal, observed.trouble(component).or_else(|| observed.complaint_of_worker(component))) {
        (Some(refusal), _) => Finding::new(false, reasons::POD_REFUSED, format!("{count}: {refusal}")),
        (None, Some(trouble)) => Finding::new(false, trouble.reason, format!("{count}: {}", trouble.message)),
        (None, None) => Finding::new(false, reasons::STARTING, count),
    }
}

/// A Job that has not succeeded (yet).
fn attempted(
    observed: &Observed,
    attempts: &Attempts<'_>,
    component: Component,
    running: &str,
    failed: &str,
) -> Finding {
    let complaint = |job| observed.complaint(job).map_or_else(|| failure(job), str::to_owned);
    if let (Component::Check, Attempts::Due(..), Some(pod)) = (component, attempts, observed.leaving.first()) {
        let message = format!("the check begins when pod {} of an earlier Pipeline or spec is gone", pod.name_any());
        return Finding::new(false, running, message);
    }
    match (attempts, observed.trouble_of_job(component, attempts.current()), attempts.failed()) {
        (Attempts::Undone(_, next), _, _) => {
            Finding::new(false, running, format!("the {} Job runs again at {next:.0}", component.as_str()))
        }
        (Attempts::Failed(job, next), _, _) => {
            Finding::new(false, failed, format!("{}; the next attempt is made at {next:.0}", complaint(job)))
        }
        (_, Some(trouble), _) => Finding::new(false, trouble.reason, trouble.message),
        (_, None, Some(job)) => {
            Finding::new(false, failed, format!("{}; another attempt is on its way", complaint(job)))
        }
        (_, None, None) => Finding::new(false, running, format!("the {} Job has not ended yet", component.as_str())),
    }
}

/// What a Job says of itself where its pods left no word.
fn failure(job: &k8s_openapi::api::batch::v1::Job) -> String {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions
        .and_then(|conditions| conditions.iter().find(|condition| condition.type_ == "Failed")?.message.clone())
        .unwrap_or_else(|| "the Job failed".into())
}

/// What the topics Job writes at its end.
#[derive(Deserialize)]
struct TopicsReport {
    topics: Vec<TopicStatus>,
}

/// What the check Job writes at its end.
#[derive(Deserialize)]
struct CheckReport {
    model: Model,
}

/// The report of a Job that succeeded; its pod may be gone by now.
fn reported<R: for<'de> Deserialize<'de>>(observed: &Observed, attempts: &Attempts<'_>) -> Option<R> {
    let Attempts::Succeeded(job) = attempts else { return None };
    serde_json::from_str(observed.report(job)?).ok()
}

fn engine(database: &Database) -> String {
    match database {
        Database::None => "None".into(),
        Database::Managed { database, .. } => format!("{:?}", database.engine),
        Database::External { .. } => "External".into(),
    }
}

/// The image of the spec with the digest that runs, by which it can be pulled again.
fn images(resources: &Resources, observed: &Observed) -> BTreeMap<String, String> {
    let sets = [(Component::Kafka, &resources.kafka), (Component::Database, &resources.database)]
        .into_iter()
        .filter_map(|(component, set)| Some((component, &set.as_ref()?.spec.as_ref()?.template)));
    let archive = resources.archive.as_ref().map(|archive| (Component::Archive, archive));
    let inference = resources.inference.iter().map(|(component, deployment)| (*component, deployment));
    let deployments = inference
        .chain(archive)
        .filter_map(|(component, deployment)| Some((component, &deployment.spec.as_ref()?.template)));
    let image = |component, pod| Some(with_digest(image(pod)?, &observed.image_ids(component)));
    sets.chain(deployments)
        .filter_map(|(component, pod)| Some((component.as_str().to_owned(), image(component, pod)?)))
        .collect()
}

fn image(pod: &PodTemplateSpec) -> Option<String> {
    pod.spec.as_ref()?.containers.first()?.image.clone()
}

/// Nodes name an image by the digest of its manifest after an `@` or, where they did not pull it, by that of its
/// configuration.
fn with_digest(image: String, ids: &BTreeSet<String>) -> String {
    let digests: BTreeSet<_> =
        ids.iter().map(|id| id.rsplit_once('@').map_or(id.as_str(), |(_, digest)| digest)).collect();
    match digests.into_iter().collect::<Vec<_>>()[..] {
        [] => image,
        [digest] if image.ends_with(digest) => image,
        [digest] if ids.iter().all(|id| id.contains('@')) => format!("{image}@{digest}"),
        ref several => format!("{image} ({})", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_told_with_the_digest_that_runs() {
        let told =
            |image: &str, ids: &[&str]| with_digest(image.to_owned(), &ids.iter().map(|&id| id.to_owned()).collect());
        assert_eq!(told("mongo:8.0.20", &[]), "mongo:8.0.20");
        assert_eq!(told("mongo:8.0.20", &["docker.io/library/mongo@sha256:aa"]), "mongo:8.0.20@sha256:aa");
        assert_eq!(told("mongo@sha256:aa", &["docker.io/library/mongo@sha256:aa"]), "mongo@sha256:aa");
        assert_eq!(told("worker:1", &["sha256:cc"]), "worker:1 (sha256:cc)");
        assert_eq!(told("worker:1", &["x/worker@sha256:aa", "x/worker@sha256:bb"]), "worker:1 (sha256:aa, sha256:bb)");
    }
}
