//! Which LoadTest is the next, as a pure function of the spec and of those that are over.

use tailrace_crds::{
    conditions::reasons,
    experiment::{ExperimentSpec, ExperimentStatus, MaxRateResult, Phase, Point, Run},
};

use super::{max_rate, sweep};

/// Why a LoadTest could not start. Every other one of the Experiment would wait as long for the same.
const NONE_CAN_START: [&str; 4] =
    [reasons::PIPELINE_NOT_FOUND, reasons::PIPELINE_NOT_READY, reasons::PIPELINE_BUSY, reasons::BASELINE_NOT_USABLE];

/// One LoadTest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The place of its point in the table, from 0; a point that is new comes after the others.
    pub point: usize,
    /// Which LoadTest of the point it is, from 0.
    pub run: usize,
    /// How often it was made before, since the Pipeline changed while it ran.
    pub repeat: usize,
    /// How many producers send.
    pub producers: i32,
    /// Images a second of each producer; none for a closed load.
    pub rate_per_producer: Option<i32>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// This LoadTest.
    Run(Planned),
    /// Nothing: the Experiment is over.
    End(Verdict),
}

/// What an Experiment has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How it has ended.
    pub phase: Phase,
    /// The reason of the conditions and the event.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
}

impl Verdict {
    /// Of an Experiment that has its answer.
    pub fn success(reason: &'static str, message: String) -> Self {
        Self { phase: Phase::Succeeded, reason, message }
    }

    /// Of one without an answer.
    pub fn failure(reason: &'static str, message: String) -> Self {
        Self { phase: Phase::Failed, reason, message }
    }
}

/// The points that are known before anything is measured.
pub fn points(spec: &ExperimentSpec) -> Vec<Point> {
    spec.sweep.as_ref().map(|sweep| sweep::points(sweep, &spec.template)).unwrap_or_default()
}

/// How many LoadTests there will be, if that is known before.
pub fn total(spec: &ExperimentSpec) -> Option<usize> {
    let sweep = spec.sweep.as_ref()?;
    Some(points(spec).len() * sweep::repetitions(sweep))
}

/// The LoadTest that follows those that are over, whose rows are in `points`.
pub fn next(spec: &ExperimentSpec, points: &[Point]) -> Next {
    if let Some(end) = none_can_start(points) {
        return Next::End(end);
    }
    match (&spec.sweep, &spec.max_rate) {
        (Some(sweep), _) => sweep::next(sweep, points),
        (None, Some(bounds)) => max_rate::next(bounds, &spec.template, points),
        (None, None) => sweep::nothing_to_do(),
    }
}

fn none_can_start(points: &[Point]) -> Option<Verdict> {
    let runs = points.iter().flat_map(|point| &point.runs).filter(|run| is_over(Some(run)));
    let (run, reason) = runs.into_iter().find_map(|run| {
        let reason = NONE_CAN_START.into_iter().find(|reason| run.reason.as_deref() == Some(*reason))?;
        Some((run, reason))
    })?;
    Some(Verdict::failure(reason, format!("stopped, since {}", sweep::did_not_succeed(run))))
}

/// How often the LoadTest in that place was made before.
pub fn repeats(point: Option<&Point>, run: usize) -> usize {
    point.and_then(|point| point.runs.get(run)).map_or(0, |run| run.repeated.len())
}

/// How far a search is; none for a sweep.
pub fn max_rate(spec: &ExperimentSpec, status: &ExperimentStatus) -> Option<MaxRateResult> {
    let bounds = spec.max_rate.as_ref()?;
    Some(max_rate::result(bounds, &spec.template, &status.points))
}

/// Whether a LoadTest was made and is over.
pub fn is_over(run: Option<&Run>) -> bool {
    run.is_some_and(|run| run.phase.is_final())
}
