//! From the status of an Experiment to a plain table.

use std::collections::BTreeMap;

use kube::ResourceExt;
use tailrace_crds::{
    Experiment,
    experiment::{ExperimentStatus, Point, Run},
    load_test,
};
use tailrace_measure::{judgement::Verdict, signed::unsigned};
use tailrace_report::values::{self, Repetition, Sweep, Varied};

/// Over producers, or over the rate of all producers together where that is what differs.
pub fn sweep(experiment: &Experiment, status: &ExperimentStatus) -> Sweep {
    let over_producers = experiment.spec.sweep.as_ref().is_some_and(|sweep| sweep.producers.is_some());
    let varied = if over_producers { Varied::Producers } else { Varied::Rate };
    // Ascending: a search comes to its rates in another order.
    let mut points: BTreeMap<i64, Vec<Repetition>> = BTreeMap::new();
    for point in &status.points {
        points.entry(value(point, varied)).or_default().extend(point.runs.iter().map(repetition));
    }
    let points = points.into_iter().map(|(value, repetitions)| values::Point { value: value as f64, repetitions });
    Sweep {
        name: experiment.name_any(),
        namespace: experiment.namespace(),
        message: status.message.clone().unwrap_or_default(),
        varied,
        points: points.collect(),
    }
}

fn value(point: &Point, varied: Varied) -> i64 {
    let rate = match varied {
        Varied::Producers => 1,
        Varied::Rate => point.rate_per_producer.unwrap_or_default(),
    };
    i64::from(point.producers) * i64::from(rate)
}

fn repetition(run: &Run) -> Repetition {
    Repetition {
        name: run.load_test.clone(),
        verdict: verdict(run),
        latency: run.latency_micros,
        lost: run.lost.map(unsigned),
        achieved_rate: run.achieved_rate.as_deref().and_then(|rate| rate.parse().ok()),
    }
}

fn verdict(run: &Run) -> Option<Verdict> {
    match run.phase {
        load_test::Phase::Succeeded => Some(Verdict::Succeeded),
        load_test::Phase::Aborted => Some(Verdict::Aborted),
        load_test::Phase::Missed => Some(Verdict::Missed),
        load_test::Phase::Invalid => Some(Verdict::Invalid),
        // Older versions knew no other phase.
        load_test::Phase::Failed if run.valid == Some(true) => Some(Verdict::Missed),
        load_test::Phase::Failed => Some(Verdict::Invalid),
        _ => None,
    }
}
