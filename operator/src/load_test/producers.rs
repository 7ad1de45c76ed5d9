//! How far each producer is, from its report, its Job and its pod.

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use tailrace_crds::ProducerReport;
use tailrace_measure::producer_result::ProducerResult;

use super::observation::{Observation, job_condition, producer_name};
use crate::pods;

/// How far a producer is.
#[derive(Clone, Debug, PartialEq)]
pub enum Producer<'a> {
    /// Its report or its Job is not there yet.
    Missing,
    /// It starts; what it waits for, as its pod, its Job or it itself says it.
    Starting(Option<String>),
    /// It waits for the common start, or sends.
    Ready,
    /// It has reported its result.
    Done(&'a ProducerResult),
    /// Its result has become a part of that of the test.
    Summed,
    /// It will not report; why.
    Failed(String),
}

/// How far each producer is, in their order.
pub fn producers(seen: &Observation) -> Vec<Producer<'_>> {
    (0..seen.load_test.spec.producers).map(|index| producer(seen, index)).collect()
}

/// The first failure, in a sentence.
pub fn failure(producers: &[Producer<'_>]) -> Option<String> {
    producers.iter().enumerate().find_map(|(index, producer)| match producer {
        Producer::Failed(why) => Some(format!("producer {index} failed: {why}")),
        _ => None,
    })
}

fn producer(seen: &Observation, index: i32) -> Producer<'_> {
    let job = seen.job(index);
    if let Some(why) = seen.unreadable.reports.get(&producer_name(&seen.load_test, index)) {
        return Producer::Failed(format!("its report cannot be read: {why}"));
    }
    let Some(report) = seen.report(index) else {
        return if seen.status().start_time.is_some() { lost("report") } else { Producer::Missing };
    };
    let status = report.status.as_ref();
    if let Some(result) = status.and_then(|status| status.result.as_ref()) {
        return Producer::Done(result);
    }
    if status.is_some_and(|status| status.summed) {
        return Producer::Summed;
    }
    if let Some(why) = status.and_then(|status| status.failure.clone()) {
        return Producer::Failed(why);
    }
    let Some(job) = job else {
        return if is_claimed(report) { lost("Job") } else { Producer::Missing };
    };
    if let Some(why) = job_failure(seen, job) {
        return Producer::Failed(why);
    }
    if status.is_some_and(|status| status.ready_at.is_some()) {
        return Producer::Ready;
    }
    let waiting = status.and_then(|status| status.waiting.as_ref()).map(|waiting| waiting.message.clone());
    match seen.pods_of(job).find_map(pods::trouble).as_ref().or_else(|| seen.refusals.get(&job.name_any())) {
        Some(trouble) if !trouble.can_heal() => Producer::Failed(trouble.message.clone()),
        trouble => Producer::Starting(trouble.map(|trouble| trouble.message.clone()).or(waiting)),
    }
}

/// A producer whose objects somebody deleted cannot be replaced: it would be another experiment.
fn lost(what: &str) -> Producer<'static> {
    Producer::Failed(format!("its {what} was deleted"))
}

fn is_claimed(report: &ProducerReport) -> bool {
    report.status.as_ref().is_some_and(|status| status.pod_uid.is_some())
}

/// Why a Job will bring no result. The pod says more than the Job, and says it earlier.
fn job_failure(seen: &Observation, job: &Job) -> Option<String> {
    if let Some(why) = seen.pods_of(job).find_map(why_pod_failed) {
        return Some(why);
    }
    if let Some(why) = job_condition(job, "Failed") {
        return Some(why);
    }
    job_condition(job, "Complete").map(|_| "it ended without a result".to_owned())
}

/// What a pod that ended badly says, or why it was evicted.
fn why_pod_failed(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref().filter(|status| status.phase.as_deref() == Some("Failed"))?;
    let evicted = || {
        let reason = status.reason.as_deref().unwrap_or("its pod failed");
        status.message.as_ref().map_or_else(|| reason.to_owned(), |message| format!("{reason}: {message}"))
    };
    Some(pods::trouble(pod).map_or_else(evicted, |trouble| trouble.message))
}
