//! Before its Pipeline is this test's.

use std::{cmp::min, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Resource;
use tailrace_crds::{
    Pipeline,
    conditions::{reasons, types},
    load_test::{LoadTestStatus, Phase},
};

use super::{
    super::{
        build::bootstrap_servers,
        leftovers::{Leftovers, leftovers},
        observation::{Baseline, Observation, Unusable},
        producers::producers,
        queue::{Turn, holder, is_held_by, turn},
        status,
    },
    Decision, FALLBACK_INTERVAL, Step,
    ending::finish,
    go_on, missing, ready_message, the_pipeline,
};
use crate::{
    conditions::{find, is_true},
    ownership::{Holder, Taken},
};

/// How soon a test that waits for the end of another one's pods looks again.
const LEFTOVER_INTERVAL: Duration = Duration::from_millis(500);

/// How soon a test that waits for a name looks again.
const NAME_INTERVAL: Duration = Duration::from_secs(2);

/// Waits for the Pipeline and the turn.
pub(super) fn queue(seen: &Observation) -> Decision {
    if seen.load_test.spec.suspend {
        let message = "suspended: it waits until suspend is false, and others go before it";
        return stand_in_line(seen, reasons::SUSPENDED, message);
    }
    match seen.baseline.as_ref().and_then(Baseline::unusable) {
        // Others go before it meanwhile: the baseline may be one of them.
        Some(Unusable::Unfinished(why)) => return stand_in_line(seen, reasons::BASELINE_NOT_USABLE, &why),
        Some(Unusable::Missing(why)) => return wait(seen, reasons::BASELINE_NOT_USABLE, why),
        Some(Unusable::Never(why)) => return finish(seen, reasons::BASELINE_NOT_USABLE, why),
        None => {}
    }
    if let Some(taken) = &seen.taken {
        return wait_for_name(seen, taken);
    }
    let turn = turn(&seen.load_test, &seen.others, seen.pipeline.as_ref());
    if let Turn::Behind { waits_for, place, length } = turn {
        let message =
            format!("waits for LoadTest \"{waits_for}\" on {}: {place} of {length} in line", the_pipeline(seen));
        return stand_in_line(seen, reasons::QUEUED, &message);
    }
    let left = leftovers(seen);
    match obstacle(seen, &left) {
        Some((reason, message)) => wait(seen, reason, message),
        None => accept(seen, turn, &left),
    }
}

/// Waits for something that is certain to come, or for the user, so the time is not counted.
fn stand_in_line(seen: &Observation, reason: &'static str, message: &str) -> Decision {
    let status = LoadTestStatus { waiting_since: None, ..queued(seen, reason, message) };
    go_on(seen, undo_start(seen), status, FALLBACK_INTERVAL)
}

fn queued(seen: &Observation, reason: &'static str, message: &str) -> LoadTestStatus {
    LoadTestStatus { starting_since: None, ready_producers: None, ..status::queued(seen, reason, message) }
}

/// A test that waits has no producers and no Pipeline: what a start that was interrupted has left is removed. A report
/// goes too, since the pod that has claimed it is the only one that may write into it.
fn undo_start(seen: &Observation) -> Vec<Step> {
    let indices = || 0..seen.load_test.spec.producers;
    let is_there = |metadata: &ObjectMeta| metadata.deletion_timestamp.is_none();
    let jobs = indices().filter(|index| seen.job(*index).is_some_and(|job| is_there(job.meta()))).collect();
    let reports = indices().filter(|index| seen.report(*index).is_some_and(|report| is_there(report.meta()))).collect();
    let mut steps = vec![Step::RemoveJobs(jobs), Step::RemoveReports(reports)];
    steps.retain(|step| !matches!(step, Step::RemoveJobs(none) | Step::RemoveReports(none) if none.is_empty()));
    if is_held_by(seen.pipeline.as_ref().and_then(holder), &seen.load_test) {
        steps.push(Step::ReleasePipeline);
    }
    steps
}

/// What an earlier test of the same name has left is waited for, without the Pipeline, while others go before it. What
/// is somebody else's will not go, so the test ends.
pub(super) fn wait_for_name(seen: &Observation, taken: &Taken) -> Decision {
    if taken.holder == Holder::Stranger {
        return finish(seen, reasons::NAME_TAKEN, taken.sentence.clone());
    }
    let mut decision = wait(seen, reasons::NAME_TAKEN, taken.sentence.clone());
    decision.look_again = decision.look_again.map(|interval| min(interval, NAME_INTERVAL));
    decision
}

/// What keeps the first in line from starting.
fn obstacle(seen: &Observation, left: &Leftovers) -> Option<(&'static str, String)> {
    let name = the_pipeline(seen);
    if let Some(why) = &seen.unreadable.pipeline {
        return Some((reasons::PIPELINE_NOT_READY, format!("{name} cannot be read: {why}")));
    }
    let Some(pipeline) = &seen.pipeline else {
        let message =
            format!("{name} does not exist in this namespace: create it, or name another one in a new LoadTest");
        return Some((reasons::PIPELINE_NOT_FOUND, message));
    };
    if let Some(why) = why_not_ready(pipeline) {
        return Some((reasons::PIPELINE_NOT_READY, format!("{name} is not ready: {why}")));
    }
    let first = left.running.first()?;
    let count = left.running.len();
    let producers = if count == 1 { "producer" } else { "producers" };
    let still_run = if count == 1 { "still runs" } else { "still run" };
    let message =
        format!("{count} {producers} of another test, or of an earlier start, {still_run} on {name}: \"{first}\"");
    Some((reasons::PIPELINE_BUSY, message + if count > 1 { " and others" } else { "" }))
}

fn why_not_ready(pipeline: &Pipeline) -> Option<String> {
    let unseen = || Some("the operator has not looked at its present spec yet".to_owned());
    if pipeline.metadata.deletion_timestamp.is_some() {
        return Some("it is being deleted".to_owned());
    }
    let Some(status) = &pipeline.status else { return unseen() };
    if is_true(&status.conditions, types::ROLLOUT_HELD) {
        return Some("a change that was held back is applied first".to_owned());
    }
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
    let mut status = queued(seen, reason, &message);
    status.waiting_since = Some(MicroTime(since));
    let interval = if reason == reasons::PIPELINE_BUSY { LEFTOVER_INTERVAL } else { FALLBACK_INTERVAL };
    go_on(seen, undo_start(seen), status, min(left, interval))
}

fn accept(seen: &Observation, turn: Turn, left: &Leftovers) -> Decision {
    let missing = missing(&producers(seen));
    // A name that is taken is found before the Pipeline is.
    let mut steps: Vec<_> = missing.clone().map(Step::PrepareProducers).into_iter().collect();
    if turn == Turn::Next {
        steps.push(Step::TakePipeline);
    }
    steps.extend(missing.map(Step::StartProducers));
    let mut status = status::under_way(seen, Phase::Starting, &ready_message(seen, 0));
    status.waiting_since = None;
    status.starting_since = Some(MicroTime(seen.now));
    status.ready_producers = Some(0);
    status.result.warnings = left.warnings();
    go_on(seen, steps, status, FALLBACK_INTERVAL)
}
