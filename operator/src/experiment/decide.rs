//! The state machine of an Experiment, as a pure function of what was observed.
//!
//! A LoadTest that is over is written into the table, and the table says which one is the next. Its name follows from
//! the Experiment, the round and its place, so an operator that is killed after it was made finds it again and makes no
//! other.

use std::{
    cmp::{max, min},
    time::Duration,
};

use jiff::Timestamp;
use tailrace_crds::{
    LoadTest,
    conditions::reasons,
    experiment::{ExperimentStatus, Phase, Run},
};

use super::{
    build,
    history::{History, history},
    observation::{Found, Observation},
    plan::{self, Next, Planned, Verdict},
    status::{self, Announcement},
    table,
};
use crate::{
    load_test::observation::is_finished,
    ownership::{Holder, Taken},
};

/// How soon it is looked again at what should be announced by a watch.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(10);
/// How soon it is looked again whether a LoadTest is gone.
const DELETION_INTERVAL: Duration = Duration::from_millis(500);

/// How often a LoadTest is made again whose Pipeline changed while it ran.
const MOST_REPEATS: usize = 2;

/// What is to be done next, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// LoadTests of other rounds, which are deleted.
    pub delete: Vec<LoadTest>,
    /// What of this round is too old to be kept.
    pub history: History,
    /// The LoadTest that is aborted.
    pub abort: Option<Box<LoadTest>>,
    /// The LoadTest that is made.
    pub create: Option<Box<LoadTest>>,
    /// The status as it should be.
    pub status: ExperimentStatus,
    /// Events.
    pub announcements: Vec<Announcement>,
    /// When to decide again if nothing is announced before.
    pub look_again: Option<Duration>,
}

/// What is to be done next.
pub fn decide(seen: &Observation) -> Decision {
    if seen.experiment.metadata.deletion_timestamp.is_some() {
        return Decision { delete: vec![], history: History::default(), ..nothing(seen) };
    }
    if seen.wants_a_round() {
        return begin(seen);
    }
    let status = seen.status();
    if status.phase.is_final() {
        return nothing(seen);
    }
    go_on(seen, status)
}

/// A round is written down before anything is made in it: whoever sees a LoadTest of it can ask for the next round, and
/// is not taken for the one who asked for this.
fn begin(seen: &Observation) -> Decision {
    let status = status::under_way(seen, status::begun(seen), Phase::Pending, "begins a round".to_owned());
    decision(seen, None, status, Duration::ZERO)
}

/// The end, since the API server refuses a LoadTest and would refuse it again. The table does not show it.
pub fn refused(seen: &Observation, decision: Decision, why: &str) -> Decision {
    let mut status = decision.status;
    forget_what_is_not_over(&mut status);
    end(seen, status, Verdict::failure(reasons::REFUSED, why.to_owned()))
}

/// Writes down what is over and comes to the LoadTest that is not.
fn go_on(seen: &Observation, mut status: ExperimentStatus) -> Decision {
    let spec = &seen.experiment.spec;
    loop {
        let planned = match plan::next(spec, &status.points) {
            Next::End(verdict) if spec.abort && verdict.phase != Phase::Succeeded => return aborted(seen, status),
            Next::End(verdict) => return end(seen, status, verdict),
            Next::Run(planned) => planned,
        };
        let name = build::name(&seen.experiment, status.round, &planned);
        match seen.test(&name) {
            Found::Ours(test) if is_finished(test) => {
                let run = table::run(spec, name, Some(test));
                if planned.repeat < MOST_REPEATS && run.reason.as_deref() == Some(reasons::PIPELINE_CHANGED) {
                    let next = Planned { repeat: planned.repeat + 1, ..planned };
                    let next = build::name(&seen.experiment, status.round, &next);
                    table::repeat(&mut status.points, &planned, run, next);
                } else {
                    table::put(&mut status.points, &planned, run);
                }
            }
            Found::Ours(test) if spec.abort && has_nothing_to_say(test) => {
                let abort = (!test.spec.abort).then(|| Box::new(test.clone()));
                return Decision { abort, ..aborted(seen, status) };
            }
            Found::Ours(test) if spec.abort => return abort(seen, status, &planned, test),
            _ if spec.abort => return aborted(seen, status),
            Found::Ours(test) => return wait_for(seen, status, &planned, test),
            Found::Taken(taken) => return wait_for_name(seen, status, taken),
            Found::Unreadable(why) => {
                let message = format!("LoadTest \"{name}\" cannot be read: {why}");
                return end(seen, status, Verdict::failure(reasons::TEST_FAILED, message));
            }
            Found::Nothing => return make(seen, status, &planned),
        }
    }
}

fn wait_for(seen: &Observation, mut status: ExperimentStatus, planned: &Planned, test: &LoadTest) -> Decision {
    let name = build::name(&seen.experiment, status.round, planned);
    if test.metadata.deletion_timestamp.is_some() {
        let message = format!("LoadTest \"{name}\" is being deleted, and is made again when it is gone");
        let status = status::under_way(seen, status, Phase::Running, message);
        return decision(seen, None, status, DELETION_INTERVAL);
    }
    let message = what_runs(&name, planned);
    table::put(&mut status.points, planned, table::run(&seen.experiment.spec, name, Some(test)));
    let status = status::under_way(seen, status, Phase::Running, message);
    decision(seen, None, status, FALLBACK_INTERVAL)
}

/// What an earlier Experiment of the same name has left is waited for, as long as each LoadTest waits for its Pipeline.
fn wait_for_name(seen: &Observation, status: ExperimentStatus, taken: Taken) -> Decision {
    let patience = &seen.experiment.spec.template.start_timeout;
    let left = patience.get().saturating_sub(idle_for(seen, &status));
    if taken.holder == Holder::Stranger {
        return end(seen, status, Verdict::failure(reasons::NAME_TAKEN, taken.sentence));
    }
    if left.is_zero() {
        let message = format!("{}; gave up after startTimeout ({patience})", taken.sentence);
        return end(seen, status, Verdict::failure(reasons::NAME_TAKEN, message));
    }
    let status = status::under_way(seen, status, Phase::Pending, taken.sentence);
    decision(seen, None, status, min(left, DELETION_INTERVAL))
}

/// Whether nothing is to be waited for: nobody has looked at the LoadTest yet, or it is being deleted.
fn has_nothing_to_say(test: &LoadTest) -> bool {
    test.status.is_none() || test.metadata.deletion_timestamp.is_some()
}

/// Ends the LoadTest that runs, whose numbers until then are shown.
fn abort(seen: &Observation, status: ExperimentStatus, planned: &Planned, test: &LoadTest) -> Decision {
    let decision = wait_for(seen, status, planned, test);
    Decision { abort: (!test.spec.abort).then(|| Box::new(test.clone())), ..decision }
}

fn aborted(seen: &Observation, mut status: ExperimentStatus) -> Decision {
    forget_what_is_not_over(&mut status);
    let message = "ended by spec.abort: set it to false and annotate with tailrace.dev/rerun to run it again";
    end(seen, status, Verdict { phase: Phase::Aborted, reason: reasons::ABORTED, message: message.to_owned() })
}

fn forget_what_is_not_over(status: &mut ExperimentStatus) {
    for point in &mut status.points {
        point.runs.retain(|run| plan::is_over(Some(run)));
    }
}

/// The next LoadTest, unless it is not yet to be made.
fn make(seen: &Observation, mut status: ExperimentStatus, planned: &Planned) -> Decision {
    let spec = &seen.experiment.spec;
    let name = build::name(&seen.experiment, status.round, planned);
    if spec.suspend {
        let message = format!("suspended: LoadTest \"{name}\" is made when spec.suspend is false");
        let status = status::under_way(seen, status, Phase::Suspended, message);
        return Decision { look_again: None, ..decision(seen, None, status, FALLBACK_INTERVAL) };
    }
    let left = cool_down_left(seen, &status);
    if !left.is_zero() {
        let message = format!("leaves the Pipeline alone for {} before LoadTest \"{name}\"", spec.cool_down);
        let status = status::under_way(seen, status, Phase::CoolingDown, message);
        return decision(seen, None, status, left);
    }
    let test = build::load_test(&seen.experiment, status.round, planned);
    let message = what_runs(&name, planned);
    table::put(&mut status.points, planned, table::run(spec, name, None));
    let status = status::under_way(seen, status, Phase::Running, message);
    decision(seen, Some(test), status, FALLBACK_INTERVAL)
}

/// How long the Pipeline is still left alone, since the end of the last LoadTest of this round.
fn cool_down_left(seen: &Observation, status: &ExperimentStatus) -> Duration {
    last_end(status)
        .map_or(Duration::ZERO, |_| seen.experiment.spec.cool_down.get().saturating_sub(idle_for(seen, status)))
}

/// Since when no LoadTest of this round is under way.
fn idle_for(seen: &Observation, status: &ExperimentStatus) -> Duration {
    let begin = status.start_time.as_ref().map_or(seen.now, |start| start.0);
    let since = last_end(status).unwrap_or(begin);
    Duration::try_from(max(since, seen.now).duration_since(since)).unwrap_or_default()
}

fn last_end(status: &ExperimentStatus) -> Option<Timestamp> {
    let runs = status.points.iter().flat_map(|point| &point.runs);
    let ends = |run: &'_ Run| {
        let repeated = run.repeated.iter().map(|repeated| repeated.completion_time.clone());
        repeated.chain([run.completion_time.clone()]).flatten().map(|end| end.0).max()
    };
    runs.filter_map(ends).max()
}

fn what_runs(name: &str, planned: &Planned) -> String {
    let rate = planned.rate_per_producer.map(|rate| format!(", {rate}/s each")).unwrap_or_default();
    let plural = if planned.producers == 1 { "" } else { "s" };
    format!("LoadTest \"{name}\" is under way: {} producer{plural}{rate}", planned.producers)
}

fn end(seen: &Observation, status: ExperimentStatus, verdict: Verdict) -> Decision {
    let status = status::finished(seen, status, verdict);
    Decision { look_again: None, ..decision(seen, None, status, FALLBACK_INTERVAL) }
}

/// The status stays as it is.
fn nothing(seen: &Observation) -> Decision {
    let status = seen.status();
    Decision { look_again: None, ..decision(seen, None, status, FALLBACK_INTERVAL) }
}

fn decision(seen: &Observation, create: Option<LoadTest>, status: ExperimentStatus, look_again: Duration) -> Decision {
    Decision {
        delete: seen.of_other_rounds(status.round).cloned().collect(),
        history: history(seen),
        abort: None,
        create: create.map(Box::new),
        announcements: status::news(&seen.status(), &status),
        status,
        look_again: Some(look_again),
    }
}

#[cfg(test)]
mod tests;
