use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tailrace_crds::{
    conditions::types,
    load_test::{LoadTestStatus, Phase},
};
use tailrace_measure::judgement::Verdict;

/// What came of a LoadTest; none if it is not over.
pub fn verdict(status: &LoadTestStatus) -> Option<Verdict> {
    match status.phase {
        Phase::Succeeded => Some(Verdict::Succeeded),
        Phase::Aborted => Some(Verdict::Aborted),
        Phase::Missed => Some(Verdict::Missed),
        Phase::Invalid => Some(Verdict::Invalid),
        // Older versions knew no other phase: a valid result missed an SLO, or was slower than its baseline.
        Phase::Failed if is_true(status, types::RESULTS_VALID) => Some(Verdict::Missed),
        Phase::Failed => Some(Verdict::Invalid),
        Phase::Queued | Phase::Starting | Phase::WarmingUp | Phase::Running | Phase::Draining => None,
    }
}

/// A condition of a LoadTest.
pub fn condition<'a>(status: &'a LoadTestStatus, type_: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}

fn is_true(status: &LoadTestStatus, type_: &str) -> bool {
    condition(status, type_).is_some_and(|condition| condition.status == "True")
}
