//! Before its Pipeline is this test's.

use std::{cmp::min, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tailrace_crds::{
    Pipeline,
    conditions::{reasons, types},
    load_test::{LoadTestStatus, Phase},
};

use super::{
    super::{
        build::bootstrap_servers,
        observation::{Baseline, Observation},
        producers::producers,
        queue::{Turn, turn},
        status,
    },
    Decision, FALLBACK_INTERVAL, Step,
    ending::finish,
    go_on, missing, ready_message, the_pipeline,
};
use crate::conditions::find;

/// How soon a test that waits for the end of another one's pods looks again.
const LEFTOVER_INTERVAL: Duration = Duration::from_millis(500);

/// Waits for the Pipeline and the turn.
pub(super) fn queue(seen: &Observation) -> Decision {
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
