//! The state machine of a LoadTest, as a pure function of what was observed.
//!
//! Whatever happens between two decisions is found again in the API server, so it does not matter which operator, started
//! how often, makes the next one. What must happen once is written once: the common start, and the end.

use std::{cmp::min, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tailrace_crds::{
    Pipeline,
    conditions::{reasons, types},
    load_test::{LoadTestSpec, LoadTestStatus, Phase},
    producer_report::ProducerResult,
};
use tailrace_measure::intervals::Files;

use super::{
    build::bootstrap_servers,
    observation::{Baseline, Observation, pipeline_now},
    producers::{Producer, failure, producers},
    progress,
    queue::{Turn, holder, is_held_by, turn},
    result::{self, Verdict},
    status::{self, Announcement, news},
};
use crate::conditions::find;

/// How far ahead the common start is: the producers must have seen it by then.
const START_AHEAD: Duration = Duration::from_millis(1_500);
/// How much later than the drain time a producer may report. One that died is seen at once by its pod; this is for those
/// on a node that is lost, and longer than a short absence of the API server.
const REPORT_GRACE: Duration = Duration::from_secs(60);
/// How often the progress is written.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);
/// How soon a test that waits for the end of another one's pods looks again.
const LEFTOVER_INTERVAL: Duration = Duration::from_millis(500);
/// How soon it is looked again at what should be announced by a watch.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(10);

/// What is to be done next, in this order: the steps, the status, the announcements.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What changes in the cluster.
    pub steps: Vec<Step>,
    /// The status as it should be.
    pub status: LoadTestStatus,
    /// Events.
    pub announcements: Vec<Announcement>,
    /// When to decide again if nothing is announced before.
    pub look_again: Option<Duration>,
}

/// One change in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write this test's name into the status of the Pipeline.
    TakePipeline,
    /// Make the permissions, and the reports and Jobs of these producers.
    StartProducers(Vec<i32>),
    /// Delete the Jobs of these producers.
    RemoveJobs(Vec<i32>),
    /// Remove this test's name from the status of the Pipeline.
    ReleasePipeline,
    /// Keep the measurement second by second in a ConfigMap.
    KeepHistograms(Box<Files>),
    /// Delete the test and all that belongs to it.
    DeleteTest,
}

/// What is to be done next.
pub fn decide(seen: &Observation) -> Decision {
    let status = seen.status();
    if seen.load_test.metadata.deletion_timestamp.is_some() {
        return Decision { steps: vec![], status, announcements: vec![], look_again: None };
    }
    match (status.phase, &seen.pipeline, &status.start_time) {
        (Phase::Succeeded | Phase::Failed | Phase::Aborted, ..) => tidy_up(seen),
        (_, _, None) if seen.load_test.spec.abort => end_aborted(seen),
        (Phase::Queued, ..) => queue(seen),
        (_, None, _) => {
            finish(seen, reasons::PIPELINE_NOT_FOUND, format!("{} was deleted while the test ran", the_pipeline(seen)))
        }
        (_, Some(_), None) => start(seen),
        (_, Some(_), Some(start_time)) => run(seen, start_time.0),
    }
}

/// Waits for the Pipeline and the turn.
fn queue(seen: &Observation) -> Decision {
    if seen.load_test.spec.suspend {
        let message = "suspended: it waits until suspend is false, and others go before it";
        let status = LoadTestStatus { waiting_since: None, ..status::queued(seen, reasons::SUSPENDED, message) };
        return go_on(seen, vec![], status, FALLBACK_INTERVAL);
    }
    if let Some(why) = seen.baseline.as_ref().and_then(Baseline::why_not_usable) {
        return wait_for_baseline(seen, why);
    }
    let turn = turn(&seen.load_test, &seen.others, seen.pipeline.as_ref());
    if let Turn::Behind { waits_for, place, length } = turn {
        let message =
            format!("waits for LoadTest \"{waits_for}\" on {}: {place} of {length} in line", the_pipeline(seen));
        let status = LoadTestStatus { waiting_since: None, ..status::queued(seen, reasons::QUEUED, &message) };
        return go_on(seen, vec![], status, FALLBACK_INTERVAL);
    }
    match obstacle(seen) {
        Some((reason, message)) => wait(seen, reason, message),
        None => accept(seen, turn),
    }
}

/// Others go before it meanwhile: the baseline may be one of them. That it finishes is certain, so its time is not counted.
fn wait_for_baseline(seen: &Observation, why: String) -> Decision {
    if seen.baseline.as_ref().is_some_and(Baseline::will_finish) {
        let status = status::queued(seen, reasons::BASELINE_NOT_USABLE, &why);
        return go_on(seen, vec![], LoadTestStatus { waiting_since: None, ..status }, FALLBACK_INTERVAL);
    }
    wait(seen, reasons::BASELINE_NOT_USABLE, why)
}

/// What keeps the first in line from starting.
fn obstacle(seen: &Observation) -> Option<(&'static str, String)> {
    let name = the_pipeline(seen);
    let Some(pipeline) = &seen.pipeline else {
        let message =
            format!("{name} does not exist in this namespace: create it, or name another one in a new LoadTest");
        return Some((reasons::PIPELINE_NOT_FOUND, message));
    };
    if let Some(why) = why_not_ready(pipeline) {
        return Some((reasons::PIPELINE_NOT_READY, format!("{name} is not ready: {why}")));
    }
    let leftovers = seen.leftovers();
    let first = leftovers.first()?;
    Some((
        reasons::PIPELINE_BUSY,
        format!("{} producers of another test still run on {name}, such as \"{first}\"", leftovers.len()),
    ))
}

fn why_not_ready(pipeline: &Pipeline) -> Option<String> {
    let unseen = || Some("the operator has not looked at its present spec yet".to_owned());
    if pipeline.metadata.deletion_timestamp.is_some() {
        return Some("it is being deleted".to_owned());
    }
    let Some(status) = &pipeline.status else { return unseen() };
    match find(&status.conditions, types::READY) {
        Some(ready) if ready.status != "True" => Some(format!("{}: {}", ready.reason, ready.message)),
        None => unseen(),
        Some(_) if status.observed_generation != pipeline.metadata.generation => unseen(),
        Some(_) if bootstrap_servers(pipeline).is_none() => {
            Some("the address of its Kafka is not known yet".to_owned())
        }
        Some(_) => None,
    }
}

/// The first in line waits, but not for ever.
fn wait(seen: &Observation, reason: &'static str, message: String) -> Decision {
    let spec = &seen.load_test.spec;
    let since = seen.status().waiting_since.map_or(seen.now, |since| since.0);
    let left = spec.start_timeout.get().saturating_sub(seen.since(since));
    if left.is_zero() {
        return finish(seen, reason, format!("{message}; gave up after startTimeout ({})", spec.start_timeout));
    }
    let mut status = status::queued(seen, reason, &message);
    status.waiting_since = Some(MicroTime(since));
    let interval = if reason == reasons::PIPELINE_BUSY { LEFTOVER_INTERVAL } else { FALLBACK_INTERVAL };
    go_on(seen, vec![], status, min(left, interval))
}

fn accept(seen: &Observation, turn: Turn) -> Decision {
    let mut steps = vec![];
    if turn == Turn::Next {
        steps.push(Step::TakePipeline);
    }
    steps.extend(missing(&producers(seen)).map(Step::StartProducers));
    let mut status = status::under_way(seen, Phase::Starting, &ready_message(seen, 0));
    status.waiting_since = None;
    status.starting_since = Some(MicroTime(seen.now));
    status.ready_producers = Some(0);
    go_on(seen, steps, status, FALLBACK_INTERVAL)
}

/// Until all producers are ready; then the common start is written.
fn start(seen: &Observation) -> Decision {
    let spec = &seen.load_test.spec;
    let producers = producers(seen);
    if let Some(why) = failure(&producers) {
        return finish(seen, reasons::PRODUCER_FAILED, why);
    }
    let ready = producers.iter().filter(|producer| matches!(producer, Producer::Ready | Producer::Done(_))).count();
    let message = ready_message(seen, ready) + &first_obstacle(&producers);
    if ready == producers.len() {
        return publish_start(seen, ready);
    }
    let since = seen.status().starting_since.map_or(seen.now, |since| since.0);
    let left = spec.ready_timeout.get().saturating_sub(seen.since(since));
    if left.is_zero() {
        return finish(
            seen,
            reasons::READY_TIMEOUT,
            format!("{message}; gave up after readyTimeout ({})", spec.ready_timeout),
        );
    }
    let mut status = status::under_way(seen, Phase::Starting, &message);
    status.starting_since = Some(MicroTime(since));
    status.ready_producers = i32::try_from(ready).ok();
    let steps = missing(&producers).map(Step::StartProducers).into_iter().collect();
    go_on(seen, steps, status, min(left, FALLBACK_INTERVAL))
}

fn publish_start(seen: &Observation, ready: usize) -> Decision {
    let start_time = later(seen.now, START_AHEAD);
    let (phase, boundary) = phase_at(&seen.load_test.spec, start_time, seen.now);
    let mut status = status::under_way(seen, phase, &running_message(seen, phase, 0));
    status.start_time = Some(MicroTime(start_time));
    status.ready_producers = i32::try_from(ready).ok();
    status.pipeline_at_start = pipeline_now(seen);
    go_on(seen, vec![], status, until(boundary, seen.now))
}

/// By the clock, until all have reported, one has failed or one is too late.
fn run(seen: &Observation, start_time: Timestamp) -> Decision {
    let producers = producers(seen);
    let reported = producers.iter().filter(|producer| matches!(producer, Producer::Done(_))).count();
    if reported == producers.len() {
        return complete(seen, &producers);
    }
    if let Some(why) = failure(&producers) {
        return finish(seen, reasons::PRODUCER_FAILED, why);
    }
    let (phase, boundary) = stage(seen, start_time);
    if boundary <= seen.now {
        let late = producers.iter().position(|producer| !matches!(producer, Producer::Done(_))).unwrap_or_default();
        let message = format!(
            "producer {late} did not report within {} s after the drain time; {reported} of {} did",
            REPORT_GRACE.as_secs(),
            producers.len()
        );
        return finish(seen, reasons::PRODUCER_FAILED, message);
    }
    let mut status = status::under_way(seen, phase, &running_message(seen, phase, reported));
    status.abort_time = abort_time(seen);
    progress::show(seen, &mut status, start_time);
    go_on(seen, vec![], status, min(PROGRESS_INTERVAL, until(boundary, seen.now)))
}

/// The phase, and when it ends: by the clock or, once the test is aborted, when the last answers were waited for.
fn stage(seen: &Observation, start_time: Timestamp) -> (Phase, Timestamp) {
    let spec = &seen.load_test.spec;
    let by_clock = phase_at(spec, start_time, seen.now);
    match abort_time(seen) {
        Some(MicroTime(aborted)) if by_clock.0 != Phase::Draining => {
            (Phase::Draining, later(aborted, spec.drain_timeout.get() + REPORT_GRACE))
        }
        _ => by_clock,
    }
}

/// When the abort was seen first.
fn abort_time(seen: &Observation) -> Option<MicroTime> {
    seen.status().abort_time.or_else(|| seen.load_test.spec.abort.then_some(MicroTime(seen.now)))
}

/// The phase at a time after the common start was written, and when it ends.
fn phase_at(spec: &LoadTestSpec, start_time: Timestamp, now: Timestamp) -> (Phase, Timestamp) {
    let measured = later(start_time, spec.warmup.get());
    let sent = later(measured, spec.duration.get());
    let reported = later(sent, spec.drain_timeout.get() + REPORT_GRACE);
    match now {
        now if now < measured && !spec.warmup.get().is_zero() => (Phase::WarmingUp, measured),
        now if now < sent => (Phase::Running, sent),
        _ => (Phase::Draining, reported),
    }
}

fn complete(seen: &Observation, producers: &[Producer<'_>]) -> Decision {
    end_with(seen, &results(producers), |verdict| verdict)
}

/// Ends without success. What some producers have reported is shown all the same.
pub fn finish(seen: &Observation, reason: &'static str, message: String) -> Decision {
    let producers = producers(seen);
    let results = results(&producers);
    end_with(seen, &results, |_| Verdict::invalid(reason, message))
}

/// Ends by the user's will before there was anything to measure.
fn end_aborted(seen: &Observation) -> Decision {
    let nothing = || "nothing was measured before the common start".to_owned();
    end_with(seen, &[], |_| Verdict::invalid(reasons::NO_SAMPLES, nothing()))
}

/// Writes the numbers of those who have reported. An aborted test is nothing else, however it ended.
fn end_with(seen: &Observation, results: &[&ProducerResult], verdict: impl FnOnce(Verdict) -> Verdict) -> Decision {
    let mut status = LoadTestStatus { messages: None, progress: None, ..seen.status() };
    let (measured, files) = match results {
        [] => (Verdict::invalid(reasons::NO_SAMPLES, "no producer has reported".to_owned()), None),
        results => result::measure(seen, results, &mut status),
    };
    let verdict = match verdict(measured) {
        verdict if seen.load_test.spec.abort => Verdict::aborted(format!("aborted; {}", verdict.message)),
        verdict => verdict,
    };
    let steps = files.map(|files| Step::KeepHistograms(Box::new(files))).into_iter().collect();
    // At once: the load must not go on, and the next test waits.
    go_on(seen, steps, status::finished(seen, status, &verdict), Duration::ZERO)
}

/// After the end: no load, no lock. A failed Job stays, since the log of its pod says why, and so does one whose log has
/// the messages.
fn tidy_up(seen: &Observation) -> Decision {
    let spec = &seen.load_test.spec;
    let there = |index| seen.job(index).is_some_and(|job| job.metadata.deletion_timestamp.is_none());
    let stays = |producer: &Producer<'_>| match producer {
        Producer::Failed(_) => true,
        Producer::Done(_) => spec.raw_log,
        _ => false,
    };
    let jobs: Vec<_> = (0..)
        .zip(producers(seen))
        .filter(|(index, producer)| there(*index) && !stays(producer))
        .map(|(index, _)| index)
        .collect();
    let mut steps = vec![];
    if !jobs.is_empty() {
        steps.push(Step::RemoveJobs(jobs));
    }
    if is_held_by(seen.pipeline.as_ref().and_then(holder), &seen.load_test) {
        steps.push(Step::ReleasePipeline);
    }
    let left = time_to_live(seen);
    if left == Some(Duration::ZERO) {
        steps.push(Step::DeleteTest);
    }
    Decision { steps, status: seen.status(), announcements: vec![], look_again: left.filter(|left| !left.is_zero()) }
}

/// How long a finished test stays, if not for ever.
fn time_to_live(seen: &Observation) -> Option<Duration> {
    let seconds = u64::try_from(seen.load_test.spec.ttl_seconds_after_finished?).unwrap_or_default();
    let finished = seen.status().completion_time?.0;
    Some(Duration::from_secs(seconds).saturating_sub(seen.since(finished)))
}

fn go_on(seen: &Observation, steps: Vec<Step>, status: LoadTestStatus, look_again: Duration) -> Decision {
    let announcements = news(&seen.status(), &status);
    Decision { steps, status, announcements, look_again: Some(look_again) }
}

fn results<'a>(producers: &[Producer<'a>]) -> Vec<&'a ProducerResult> {
    let result = |producer: &Producer<'a>| match producer {
        Producer::Done(result) => Some(*result),
        _ => None,
    };
    producers.iter().filter_map(result).collect()
}

fn missing(producers: &[Producer<'_>]) -> Option<Vec<i32>> {
    let missing: Vec<_> =
        (0..).zip(producers).filter(|(_, producer)| **producer == Producer::Missing).map(|(index, _)| index).collect();
    (!missing.is_empty()).then_some(missing)
}

fn ready_message(seen: &Observation, ready: usize) -> String {
    format!("{ready} of {} producers are ready", seen.load_test.spec.producers)
}

/// What the first producer that cannot start waits for, as its pod says it.
fn first_obstacle(producers: &[Producer<'_>]) -> String {
    let obstacle = producers.iter().enumerate().find_map(|(index, producer)| match producer {
        Producer::Starting(Some(why)) => Some(format!("; producer {index} waits: {why}")),
        _ => None,
    });
    obstacle.unwrap_or_default()
}

fn running_message(seen: &Observation, phase: Phase, reported: usize) -> String {
    let spec = &seen.load_test.spec;
    match phase {
        Phase::WarmingUp => format!("warms up for {}, which is not measured", spec.warmup),
        Phase::Running => format!("measures for {}", spec.duration),
        _ => {
            let aborted = if spec.abort { "aborted: " } else { "" };
            format!("{aborted}waits for the last answers: {reported} of {} producers have reported", spec.producers)
        }
    }
}

fn the_pipeline(seen: &Observation) -> String {
    format!("Pipeline \"{}\"", seen.load_test.spec.pipeline_ref.name)
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Never zero, so that a boundary that is a little ahead is not asked for in a loop.
fn until(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default().max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests;
