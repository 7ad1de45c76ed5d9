//! From the start of the producers to their reports.

use std::{cmp::min, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tailrace_crds::{
    conditions::{reasons, types},
    load_test::{LoadTestSpec, Phase},
};

use super::{
    super::{
        changes,
        observation::{Observation, pipeline_now},
        producers::{Producer, failure, producers},
        progress, status,
    },
    Decision, PROGRESS_INTERVAL, Step,
    ending::{complete, finish},
    go_on, missing, ready_message, the_pipeline,
};
use crate::conditions::find;

/// How soon it is looked again what a producer waits for: events are not watched.
const OBSTACLE_INTERVAL: Duration = Duration::from_secs(5);
/// How far ahead the common start is: the producers must have seen it by then.
pub(super) const START_AHEAD: Duration = Duration::from_millis(1_500);
/// How much later than the drain time a producer may report. One that died is seen at once by its pod; this is for
/// those on a node that is lost, and longer than a short absence of the API server.
const REPORT_GRACE: Duration = Duration::from_secs(60);

/// Until all producers are ready, and the Pipeline still is; then the common start is written.
pub(super) fn start(seen: &Observation) -> Decision {
    let spec = &seen.load_test.spec;
    let producers = producers(seen);
    if let Some(why) = failure(&producers) {
        return finish(seen, reasons::PRODUCER_FAILED, why);
    }
    let ready = producers.iter().filter(|producer| matches!(producer, Producer::Ready | Producer::Done(_))).count();
    let unready = unready_pipeline(seen);
    if ready == producers.len() && unready.is_none() {
        return publish_start(seen, ready);
    }
    let message = ready_message(seen, ready) + &first_obstacle(&producers) + &unready.unwrap_or_default();
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
    let missing = missing(&producers);
    let steps = missing.map(|these| vec![Step::PrepareProducers(these.clone()), Step::StartProducers(these)]);
    go_on(seen, steps.unwrap_or_default(), status, min(left, OBSTACLE_INTERVAL))
}

/// A Pipeline that something is changed about at once, or that has broken down, is not measured before it is ready
/// again.
fn unready_pipeline(seen: &Observation) -> Option<String> {
    let status = seen.pipeline.as_ref().and_then(|pipeline| pipeline.status.as_ref());
    let ready = status.and_then(|status| find(&status.conditions, types::READY));
    let why = match ready {
        Some(ready) if ready.status == "True" => return None,
        Some(ready) => format!("{}: {}", ready.reason, ready.message),
        None => "nothing is known of it".to_owned(),
    };
    Some(format!("; {} is not ready any more: {why}", the_pipeline(seen)))
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

/// By the clock, until all have reported, the Pipeline has changed, one has failed or one is too late.
pub(super) fn run(seen: &Observation, start_time: Timestamp) -> Decision {
    let producers = producers(seen);
    let reported = producers.iter().filter(|producer| matches!(producer, Producer::Done(_))).count();
    if reported == producers.len() {
        return complete(seen, &producers);
    }
    // A change of the Pipeline explains whatever else has failed.
    if let Some(why) = changes::since_start(seen) {
        return finish(seen, reasons::PIPELINE_CHANGED, why);
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

/// Whether even the slowest producer should have reported long ago.
pub(super) fn is_late(seen: &Observation) -> bool {
    seen.status().start_time.is_some_and(|start_time| stage(seen, start_time.0).1 <= seen.now)
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

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Never zero, so that a boundary that is a little ahead is not asked for in a loop.
fn until(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default().max(Duration::from_millis(1))
}
