//! A sweep: which point follows, and what it has come to.

use tailrace_crds::{
    conditions::reasons,
    experiment::{Order, Point, Run, Sweep},
    load_test::{LoadTestSpec, Phase},
};
use tailrace_measure::{repetitions::shuffled, signed::unsigned};

use super::plan::{Next, Planned, Verdict, is_over, repeats};

/// The points of a sweep, in the order of its list.
pub fn points(sweep: &Sweep, template: &LoadTestSpec) -> Vec<Point> {
    let rate = template.load.open.as_ref().map(|open| open.rate_per_producer);
    let point = |producers, rate_per_producer| Point { producers, rate_per_producer, ..Point::default() };
    match (&sweep.producers, &sweep.rates_per_producer) {
        (Some(producers), _) => producers.iter().map(|producers| point(*producers, rate)).collect(),
        (None, Some(rates)) => rates.iter().map(|rate| point(template.producers, Some(*rate))).collect(),
        (None, None) => vec![],
    }
}

/// How often each point is measured.
pub fn repetitions(sweep: &Sweep) -> usize {
    usize::try_from(sweep.repetitions).unwrap_or_default()
}

/// The LoadTest that follows those that are over: each repetition has each point once.
pub fn next(sweep: &Sweep, points: &[Point]) -> Next {
    let runs = || points.iter().flat_map(|point| &point.runs);
    let failed: Vec<&Run> = runs().filter(|run| is_over(Some(run)) && run.phase != Phase::Succeeded).collect();
    if let (true, Some(first)) = (sweep.stop_on_failure, failed.first()) {
        return Next::End(Verdict::failure(reasons::TEST_FAILED, format!("stopped, since {}", did_not_succeed(first))));
    }
    for repetition in 0..repetitions(sweep) {
        for point in order(sweep, points.len(), repetition) {
            let Point { producers, rate_per_producer, runs, .. } = &points[point];
            if !is_over(runs.get(repetition)) {
                let (producers, rate_per_producer) = (*producers, *rate_per_producer);
                let repeat = repeats(points.get(point), repetition);
                return Next::Run(Planned { point, run: repetition, repeat, producers, rate_per_producer });
            }
        }
    }
    let all = runs().count();
    Next::End(match failed.first() {
        None => Verdict::success(reasons::COMPLETED, format!("{all} of {all} LoadTests succeeded")),
        Some(first) => Verdict::failure(
            reasons::TEST_FAILED,
            format!("{} of {all} LoadTests did not succeed; {}", failed.len(), did_not_succeed(first)),
        ),
    })
}

/// Of a spec that the API server refuses.
pub fn nothing_to_do() -> Next {
    let message = "neither sweep nor maxRate is there: create a new Experiment with one of them";
    Next::End(Verdict::failure(reasons::REFUSED, message.into()))
}

/// The places of the points in the order of one repetition.
fn order(sweep: &Sweep, points: usize, repetition: usize) -> Vec<usize> {
    match sweep.order() {
        Order::Listed => (0..points).collect(),
        Order::Shuffled => shuffled(points, u64::try_from(repetition).unwrap_or_default(), unsigned(sweep.seed)),
    }
}

/// In one sentence.
pub fn did_not_succeed(run: &Run) -> String {
    let message = run.message.as_deref().unwrap_or("no reason is known");
    format!("LoadTest \"{}\" did not succeed: {message}", run.load_test)
}
