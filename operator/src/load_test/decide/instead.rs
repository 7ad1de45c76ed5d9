//! What is decided instead when a step cannot be done.

use tailrace_crds::conditions::reasons;

use super::{
    super::{apply::Undone, build, observation::Observation, result},
    Decision, Step,
    ending::finish,
    go_on,
    running::is_late,
    waiting::wait_for_name,
};

/// What is decided instead of `decision` after it could not be done; nothing if it may well be done the next time.
/// `lasting` says that the API server would answer the same again.
pub fn instead(seen: &Observation, decision: &Decision, undone: &Undone, lasting: bool) -> Option<Decision> {
    let Undone { step, error } = undone;
    let taken = error.taken();
    match step.as_ref()? {
        Step::KeepHistograms(_) => {
            let given_up = lasting || taken.is_some() || is_late(seen);
            given_up.then(|| without_histograms(seen, decision, &error.to_string()))
        }
        _ if seen.status().phase.is_final() => None,
        _ if taken.is_some() => taken.map(|taken| wait_for_name(seen, taken)),
        _ => {
            // The API server calls a quantity that it cannot read an error of its own.
            let why = build::why_impossible(&seen.load_test).or_else(|| lasting.then(|| error.to_string()))?;
            Some(finish(seen, reasons::PRODUCER_FAILED, why))
        }
    }
}

/// The numbers in the status are worth more than the files beside them.
fn without_histograms(seen: &Observation, decision: &Decision, why: &str) -> Decision {
    let mut status = decision.status.clone();
    result::without_histograms(&mut status, why);
    let steps = decision.steps.iter().filter(|step| !matches!(step, Step::KeepHistograms(_))).cloned().collect();
    go_on(seen, steps, status, decision.look_again.unwrap_or_default())
}
