//! The status of an Experiment in each of its phases, and what is new in it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tailrace_crds::{
    conditions::{reasons, types},
    experiment::{ExperimentStatus, Phase, Repeated, Run},
    load_test,
};

use super::{
    observation::Observation,
    plan::{self, Verdict},
    sweep::did_not_succeed,
    table,
};
use crate::conditions::{Conditions, Status, find};

/// Of a round in which nothing was made yet. What was found in the last one is forgotten.
pub fn begun(seen: &Observation) -> ExperimentStatus {
    let last = seen.status();
    ExperimentStatus {
        conditions: last.conditions,
        round: last.round.saturating_add(1),
        rerun: seen.rerun(),
        start_time: Some(MicroTime(seen.now)),
        points: plan::points(&seen.experiment.spec),
        ..ExperimentStatus::default()
    }
}

/// Is not over.
pub fn under_way(seen: &Observation, status: ExperimentStatus, phase: Phase, message: String) -> ExperimentStatus {
    let reason = match phase {
        Phase::Pending => reasons::STARTING,
        Phase::CoolingDown => reasons::COOLING_DOWN,
        Phase::Suspended => reasons::SUSPENDED,
        _ => reasons::RUNNING,
    };
    let mut conditions = conditions(seen, &status);
    conditions.set(types::FINISHED, false, reason, &message);
    conditions.set(types::SUCCEEDED, Status::Unknown, reason, &message);
    conditions.set(types::RECONCILING, true, reason, &message);
    conditions.set(types::STALLED, false, reason, &message);
    with(seen, status, phase, message, conditions)
}

/// Is over.
pub fn finished(seen: &Observation, status: ExperimentStatus, verdict: Verdict) -> ExperimentStatus {
    let Verdict { phase, reason, message } = verdict;
    let succeeded = phase == Phase::Succeeded;
    let mut conditions = conditions(seen, &status);
    conditions.set(types::FINISHED, true, reason, &message);
    conditions.set(types::SUCCEEDED, succeeded, reason, &message);
    conditions.set(types::RECONCILING, false, reason, &message);
    conditions.set(types::STALLED, !succeeded, reason, &message);
    ExperimentStatus { completion_time: Some(MicroTime(seen.now)), ..with(seen, status, phase, message, conditions) }
}

fn conditions(seen: &Observation, status: &ExperimentStatus) -> Conditions {
    Conditions::new(&status.conditions, seen.experiment.metadata.generation, seen.now)
}

fn with(
    seen: &Observation,
    mut status: ExperimentStatus,
    phase: Phase,
    message: String,
    conditions: Conditions,
) -> ExperimentStatus {
    table::sum_up(&seen.experiment.spec, &mut status);
    ExperimentStatus {
        observed_generation: seen.experiment.metadata.generation,
        phase,
        message: Some(message),
        conditions: conditions.into_list(),
        ..status
    }
}

/// Something that people should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Whether something is wrong.
    pub warning: bool,
    /// The reason of the condition.
    pub reason: String,
    /// One sentence.
    pub note: String,
    /// The LoadTest that it comes from. Events that differ in nothing but their note are taken for one and the same.
    pub load_test: Option<String>,
}

/// What is new between two statuses, for events: the begin of a round, LoadTests that did not succeed or are made
/// again, the end.
pub fn news(before: &ExperimentStatus, after: &ExperimentStatus) -> Vec<Announcement> {
    let mut news = Vec::new();
    if before.round != after.round {
        let total = after.total.map(|total| format!(" of {total} LoadTests")).unwrap_or_default();
        let note = format!("begins a round{total}");
        news.push(Announcement { warning: false, reason: reasons::STARTING.into(), note, load_test: None });
    }
    let known: Vec<&str> = failures(before).map(|run| run.load_test.as_str()).collect();
    let new = failures(after).filter(|run| !known.contains(&run.load_test.as_str()));
    news.extend(new.map(|run| Announcement {
        warning: true,
        reason: reasons::TEST_FAILED.into(),
        note: did_not_succeed(run),
        load_test: Some(run.load_test.clone()),
    }));
    let known: Vec<&Repeated> = runs(before).flat_map(|run| &run.repeated).collect();
    let new = runs(after).flat_map(|run| &run.repeated).filter(|repeated| !known.contains(repeated));
    news.extend(new.map(|repeated| Announcement {
        warning: true,
        reason: reasons::TEST_REPEATED.into(),
        note: format!("LoadTest \"{}\" is made again: {}", repeated.load_test, repeated.message),
        load_test: Some(repeated.load_test.clone()),
    }));
    if after.phase.is_final() && (!before.phase.is_final() || before.round != after.round) {
        news.extend(find(&after.conditions, types::FINISHED).map(|finished| Announcement {
            warning: after.phase == Phase::Failed,
            reason: finished.reason.clone(),
            note: finished.message.clone(),
            load_test: last(after),
        }));
    }
    news
}

fn runs(status: &ExperimentStatus) -> impl Iterator<Item = &Run> {
    status.points.iter().flat_map(|point| &point.runs)
}

fn failures(status: &ExperimentStatus) -> impl Iterator<Item = &Run> {
    runs(status).filter(|run| run.phase.is_final() && run.phase != load_test::Phase::Succeeded)
}

/// The LoadTest that was over last.
fn last(status: &ExperimentStatus) -> Option<String> {
    let over = runs(status).filter_map(|run| Some((run.completion_time.as_ref()?.0, &run.load_test)));
    over.max().map(|(_, name)| name.clone())
}
