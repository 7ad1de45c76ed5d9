//! The table in the status: a row for each point, and what its LoadTests say together.

use std::time::Duration;

use tailrace_crds::{
    LoadTest,
    conditions::types,
    experiment::{Best, Display, ExperimentSpec, ExperimentStatus, Percentiles, Point, Repeated, Run, Spreads},
    load_test::Phase,
};
use tailrace_measure::{
    display, repetitions,
    signed::{signed, unsigned},
};

use super::{
    max_rate,
    plan::{self, Planned, is_over},
};
use crate::conditions::{find, is_true};

/// How much of a sentence is kept of each LoadTest: the status must stay small.
const LONGEST_MESSAGE: usize = 256;

/// One LoadTest as the table shows it.
pub fn run(spec: &ExperimentSpec, name: String, test: Option<&LoadTest>) -> Run {
    let status = test.and_then(|test| test.status.clone()).unwrap_or_default();
    let unfinished = Run { load_test: name, phase: status.phase, ..Run::default() };
    if !status.phase.is_final() {
        return unfinished;
    }
    let finished = find(&status.conditions, types::FINISHED);
    let failure = finished.filter(|_| status.phase != Phase::Succeeded);
    Run {
        valid: Some(is_true(&status.conditions, types::RESULTS_VALID)),
        reason: failure.map(|finished| finished.reason.clone()),
        message: failure.map(|finished| finished.message.chars().take(LONGEST_MESSAGE).collect()),
        outcome: spec.max_rate.as_ref().and_then(|_| max_rate::outcome(&status)),
        latency_micros: status.result.latency_micros.map(Into::into),
        lost: status.result.messages.map(|messages| signed(messages.lost)),
        achieved_rate: status.result.rate.map(|rate| rate.achieved),
        completion_time: status.completion_time,
        ..unfinished
    }
}

/// Puts the row of one LoadTest where it belongs.
pub fn put(points: &mut Vec<Point>, planned: &Planned, run: Run) {
    if planned.point >= points.len() {
        let Planned { producers, rate_per_producer, .. } = *planned;
        points.push(Point { producers, rate_per_producer, ..Point::default() });
    }
    let Some(point) = points.get_mut(planned.point) else { return };
    match point.runs.get_mut(planned.run) {
        Some(row) => *row = Run { repeated: std::mem::take(&mut row.repeated), ..run },
        None => point.runs.push(run),
    }
}

/// The LoadTest in this row, which is `over`, is to be made again under the name `next`: its Pipeline changed while it
/// ran.
pub fn repeat(points: &mut Vec<Point>, planned: &Planned, over: Run, next: String) {
    let Run { load_test, message, completion_time, .. } = over;
    let repeated = Repeated { load_test, message: message.unwrap_or_default(), completion_time };
    put(points, planned, Run { load_test: next, ..Run::default() });
    if let Some(row) = points.get_mut(planned.point).and_then(|point| point.runs.get_mut(planned.run)) {
        row.repeated.push(repeated);
    }
}

/// Brings everything up to date that follows from the rows.
pub fn sum_up(spec: &ExperimentSpec, status: &mut ExperimentStatus) {
    for point in &mut status.points {
        let valid: Vec<_> = point.runs.iter().filter(|run| run.valid == Some(true)).collect();
        point.valid_runs = count(valid.len());
        point.latency_micros = spreads(&valid);
    }
    let done = status.points.iter().flat_map(|point| &point.runs).filter(|run| is_over(Some(run))).count();
    status.done = count(done);
    status.total = plan::total(spec).map(count);
    status.max_rate = plan::max_rate(spec, status);
    status.best = best(spec, status);
    status.display = Some(display(spec, status));
}

fn spreads(valid: &[&Run]) -> Option<Spreads> {
    let latencies: Vec<_> = valid.iter().filter_map(|run| run.latency_micros.as_ref()).collect();
    let of = |percentile: fn(&Percentiles) -> Option<u64>| {
        let values: Vec<_> = latencies.iter().map(|latency| percentile(latency)).collect();
        repetitions::spread(&values)
    };
    Some(Spreads { p50: of(|p| p.p50)?, p90: of(|p| p.p90)?, p95: of(|p| p.p95)?, p99: of(|p| p.p99)? })
}

fn best(spec: &ExperimentSpec, status: &ExperimentStatus) -> Option<Best> {
    let point = match &status.max_rate {
        Some(found) => status.points.iter().find(|point| found.held.is_some() && total_rate(point) == found.held)?,
        None => {
            let measured = status.points.iter().filter(|point| p95(point).is_some());
            measured.min_by_key(|point| p95(point))?
        }
    };
    let rate = spec.template.load.open.as_ref().and_then(|_| total_rate(point));
    Some(Best { producers: point.producers, rate, p95_micros: p95(point).map(signed) })
}

fn p95(point: &Point) -> Option<u64> {
    point.latency_micros.as_ref()?.p95.median
}

/// Images a second of all producers together.
fn total_rate(point: &Point) -> Option<i32> {
    Some(point.rate_per_producer?.saturating_mul(point.producers))
}

fn display(spec: &ExperimentSpec, status: &ExperimentStatus) -> Display {
    let of = status.total.map(|total| format!("/{total}")).unwrap_or_default();
    let by_producers = spec.sweep.as_ref().is_some_and(|sweep| sweep.producers.is_some());
    let named = |best: &Best| match (best.rate, best.producers) {
        (Some(rate), _) if !by_producers => format!("{rate}/s"),
        (_, 1) => "1 producer".to_owned(),
        (_, producers) => format!("{producers} producers"),
    };
    Display {
        done: format!("{}{of}", status.done),
        best: status.best.as_ref().map(named),
        p95: status.best.as_ref().map(|best| shown(best.p95_micros, spec.template.drain_timeout.get())),
    }
}

fn shown(micros: Option<i64>, drain: Duration) -> String {
    micros.map_or_else(|| display::unbounded(drain), |micros| display::micros(unsigned(micros)))
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
