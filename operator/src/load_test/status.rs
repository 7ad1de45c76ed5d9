//! The status of a LoadTest in each of its phases.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tailrace_crds::{
    conditions::{reasons, types},
    load_test::{LoadTestStatus, Phase},
};
use tailrace_measure::judgement::{Judgement, Verdict};

use super::{columns::load_column, observation::Observation};
use crate::conditions::{Conditions, Status, find};

/// Waits for its Pipeline or its turn.
pub fn queued(seen: &Observation, reason: &str, message: &str) -> LoadTestStatus {
    let (mut status, mut conditions) = begin(seen, Phase::Queued, message);
    conditions.set(types::ACCEPTED, false, reason, message);
    unfinished(seen, &mut conditions, reasons::QUEUED, message);
    status.conditions = conditions.into_list();
    status
}

/// Has its Pipeline.
pub fn under_way(seen: &Observation, phase: Phase, message: &str) -> LoadTestStatus {
    let (mut status, mut conditions) = begin(seen, phase, message);
    let pipeline = &seen.load_test.spec.pipeline_ref.name;
    conditions.set(types::ACCEPTED, true, reasons::ACCEPTED, format!("Pipeline \"{pipeline}\" is this test's"));
    let reason = if phase == Phase::Starting { reasons::STARTING } else { reasons::RUNNING };
    unfinished(seen, &mut conditions, reason, message);
    status.conditions = conditions.into_list();
    status
}

/// Is over. `status` has the numbers already.
pub fn finished(seen: &Observation, mut status: LoadTestStatus, judgement: &Judgement) -> LoadTestStatus {
    let Judgement { verdict, reason, message, measured, .. } = judgement;
    let valid = judgement.is_valid();
    let succeeded = *verdict == Verdict::Succeeded;
    let mut conditions = conditions(seen, &status);
    conditions.set(types::FINISHED, true, reason, message);
    conditions.set(types::SUCCEEDED, succeeded, reason, message);
    let validity = if valid { reasons::VALID } else { reason };
    conditions.set(types::RESULTS_VALID, valid, validity, measured.as_ref().unwrap_or(message));
    if !seen.load_test.spec.slos.is_empty() {
        slos_met(&mut conditions, judgement);
    }
    conditions.set(types::RECONCILING, false, reason, message);
    conditions.set(types::STALLED, !succeeded, reason, message);
    status.conditions = conditions.into_list();
    status.phase = match verdict {
        Verdict::Succeeded => Phase::Succeeded,
        Verdict::Aborted => Phase::Aborted,
        Verdict::Missed | Verdict::Regressed => Phase::Missed,
        Verdict::Invalid if status.result.latency_micros.is_some() => Phase::Invalid,
        Verdict::Invalid => Phase::Failed,
    };
    status.message = Some(message.clone());
    status.observed_generation = seen.load_test.metadata.generation;
    status.waiting_since = None;
    status.progress = None;
    status.completion_time = Some(MicroTime(seen.now));
    status.display.get_or_insert_with(|| load_column(seen));
    status
}

/// Of a result that is not valid nothing can be said.
fn slos_met(conditions: &mut Conditions, Judgement { verdict, reason, message, .. }: &Judgement) {
    match verdict {
        Verdict::Succeeded | Verdict::Regressed => {
            conditions.set(types::SLOS_MET, true, reasons::SLOS_MET, "all SLOs are met");
        }
        Verdict::Missed => conditions.set(types::SLOS_MET, false, reason, message),
        Verdict::Invalid | Verdict::Aborted => {
            conditions.set(types::SLOS_MET, Status::Unknown, reason, "there is no valid result")
        }
    }
}

fn begin(seen: &Observation, phase: Phase, message: &str) -> (LoadTestStatus, Conditions) {
    let previous = seen.status();
    let conditions = conditions(seen, &previous);
    let status = LoadTestStatus {
        observed_generation: seen.load_test.metadata.generation,
        phase,
        message: Some(message.to_owned()),
        display: Some(load_column(seen)),
        ..previous
    };
    (status, conditions)
}

fn conditions(seen: &Observation, previous: &LoadTestStatus) -> Conditions {
    Conditions::new(&previous.conditions, seen.load_test.metadata.generation, seen.now)
}

fn unfinished(seen: &Observation, conditions: &mut Conditions, reason: &str, message: &str) {
    conditions.set(types::FINISHED, false, reason, message);
    conditions.set(types::SUCCEEDED, Status::Unknown, reason, message);
    conditions.set(types::RESULTS_VALID, Status::Unknown, reason, "there is no result yet");
    if !seen.load_test.spec.slos.is_empty() {
        conditions.set(types::SLOS_MET, Status::Unknown, reason, "there is no result yet");
    }
    conditions.set(types::RECONCILING, true, reason, message);
    conditions.set(types::STALLED, false, reason, message);
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
}

/// What is new between two statuses, for events.
pub fn news(before: &LoadTestStatus, after: &LoadTestStatus) -> Vec<Announcement> {
    let reason_of = |status: &LoadTestStatus, type_| find(&status.conditions, type_).map(|found| found.reason.clone());
    let announce = |type_, warning| {
        let condition = find(&after.conditions, type_)?;
        Some(Announcement { warning, reason: condition.reason.clone(), note: condition.message.clone() })
    };
    let accepted = reason_of(after, types::ACCEPTED);
    let mut news = Vec::new();
    if accepted != reason_of(before, types::ACCEPTED) {
        let calm = [reasons::ACCEPTED, reasons::QUEUED, reasons::PIPELINE_BUSY, reasons::SUSPENDED].map(Some);
        let calm = calm.contains(&accepted.as_deref());
        news.extend(announce(types::ACCEPTED, !calm));
    }
    if before.start_time.is_none() && after.start_time.is_some() {
        news.extend(announce(types::FINISHED, false));
    }
    if !before.phase.is_final() && after.phase.is_final() {
        let calm = matches!(after.phase, Phase::Succeeded | Phase::Aborted);
        news.extend(announce(types::FINISHED, !calm));
    }
    let new = after.result.warnings.iter().filter(|warning| !before.result.warnings.contains(warning));
    news.extend(new.map(|warning| Announcement {
        warning: true,
        reason: warning.reason.clone(),
        note: warning.message.clone(),
    }));
    news
}
