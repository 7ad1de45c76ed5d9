use super::{
    SEED,
    bootstrap::{QUANTILES, Replicates, replicates},
    ends,
};
use crate::{intervals::Intervals, slo::Metric};

/// The percentiles that are compared.
const COMPARED: [(Metric, u64); 3] = [(Metric::P50, 500), (Metric::P95, 950), (Metric::P99, 990)];

/// Whether a measurement is slower than another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The worst of the percentiles.
    pub verdict: Verdict,
    /// The median, the p95 and the p99.
    pub metrics: Vec<MetricComparison>,
}

/// What can be said of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The whole interval of confidence is within what is allowed.
    NotRegressed,
    /// A part of the interval of confidence is within what is allowed, and a part is not.
    Inconclusive,
    /// The whole interval of confidence is above what is allowed.
    Regressed,
}

/// One percentile of both measurements. One that falls on images without an answer is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricComparison {
    /// The percentile.
    pub metric: Metric,
    /// In the baseline, in microseconds.
    pub baseline: Option<u64>,
    /// In the measurement, in microseconds.
    pub observed: Option<u64>,
    /// By how many microseconds the measurement is slower; none if either is unbounded.
    pub micros: Option<Change>,
    /// By how many percent of the baseline it is slower.
    pub percent: Option<Change>,
    /// What can be said of it.
    pub verdict: Verdict,
}

/// A difference with its 95 % interval of confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The difference of what was measured.
    pub value: f64,
    /// The lower end; infinite if it is unbounded.
    pub low: f64,
    /// The upper end; infinite if it is unbounded.
    pub high: f64,
}

/// Compares a measurement with a baseline that was measured independently of it: both are drawn anew by block bootstrap,
/// and the interval of confidence is that of the differences of the draws. None if either has too few intervals.
/// `allowed` is by how many percent a percentile may be slower.
pub fn compare(baseline: &Intervals, observed: &Intervals, allowed: f64) -> Option<Comparison> {
    // Independent draws: with the same seed, intervals of the same length would be drawn alike.
    let draws = (replicates(baseline, SEED)?, replicates(observed, SEED + 1)?);
    let points = (totals(baseline), totals(observed));
    let metrics: Vec<_> = COMPARED
        .iter()
        .filter_map(|(metric, permille)| {
            let quantile = QUANTILES.iter().position(|known| known == permille)?;
            Some(compare_one(*metric, quantile, points, &draws, allowed))
        })
        .collect();
    let verdict = metrics.iter().map(|metric| metric.verdict).max()?;
    Some(Comparison { verdict, metrics })
}

type Points = [Option<u64>; QUANTILES.len()];

fn compare_one(
    metric: Metric,
    quantile: usize,
    points: (Points, Points),
    draws: &(Replicates, Replicates),
    allowed: f64,
) -> MetricComparison {
    let (baseline, observed) = (points.0[quantile], points.1[quantile]);
    let pairs = || draws.0[quantile].iter().copied().zip(draws.1[quantile].iter().copied());
    let change = |of: fn(f64, f64) -> f64| {
        let value = of(baseline? as f64, observed? as f64);
        // Where both are unbounded nothing can be said.
        let mut changes: Vec<f64> =
            pairs().map(|(before, after)| of(before, after)).filter(|change| !change.is_nan()).collect();
        let (low, high) = ends(&mut changes)?;
        Some(Change { value, low, high })
    };
    let percent = change(|before, after| (after / before - 1.0) * 100.0);
    MetricComparison {
        metric,
        baseline,
        observed,
        micros: change(|before, after| after - before),
        percent,
        verdict: verdict(baseline, percent, allowed),
    }
}

fn verdict(baseline: Option<u64>, percent: Option<Change>, allowed: f64) -> Verdict {
    match (baseline, percent) {
        (None, _) => Verdict::Inconclusive,
        // The baseline answers, and the measurement does not.
        (Some(_), None) => Verdict::Regressed,
        (Some(_), Some(change)) if change.low > allowed => Verdict::Regressed,
        (Some(_), Some(change)) if change.high <= allowed => Verdict::NotRegressed,
        (Some(_), Some(_)) => Verdict::Inconclusive,
    }
}

fn totals(intervals: &Intervals) -> Points {
    let total = intervals.total();
    let summary = crate::summary::summarize(&(&total.latency).into(), total.scheduled);
    [summary.p50, summary.p90, summary.p95, summary.p99]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A minute of a hundred images a second, each answered after `base` to `base` + 20 ms, in an order of its own.
    fn around(base: u64, order: u64) -> Intervals {
        let mut intervals = Intervals::new(Duration::from_secs(60));
        for number in 0..6_000 {
            let intended = Duration::from_millis(number * 10);
            intervals.count_scheduled(intended);
            let latency = Duration::from_micros(base * 1_000 + number * order % 6_000 * 20 / 6);
            intervals.record(intended, intended + latency, Some(latency));
        }
        intervals
    }

    fn verdict_of(baseline: &Intervals, observed: &Intervals, allowed: f64) -> Verdict {
        compare(baseline, observed, allowed).unwrap().verdict
    }

    #[test]
    fn the_same_system_has_not_regressed() {
        assert_eq!(verdict_of(&around(50, 7), &around(50, 11), 10.0), Verdict::NotRegressed);
    }

    #[test]
    fn a_slower_one_has_regressed_beyond_what_is_allowed() {
        let compared = compare(&around(50, 7), &around(80, 11), 10.0).unwrap();
        assert_eq!(compared.verdict, Verdict::Regressed);
        let p95 = compared.metrics.iter().find(|metric| metric.metric == Metric::P95).unwrap();
        let change = p95.micros.unwrap();
        assert!((29_000.0..31_000.0).contains(&change.value), "{change:?}");
        assert!(change.low <= change.value && change.value <= change.high);
        assert_eq!(verdict_of(&around(50, 7), &around(80, 11), 70.0), Verdict::NotRegressed);
    }

    #[test]
    fn a_difference_at_the_edge_of_what_is_allowed_is_inconclusive() {
        let compared = compare(&around(50, 7), &around(55, 11), 0.0).unwrap();
        let edge = compared.metrics.iter().map(|metric| metric.percent.unwrap().value).fold(f64::MAX, f64::min);
        assert_eq!(verdict_of(&around(50, 7), &around(55, 11), edge), Verdict::Inconclusive);
    }

    #[test]
    fn a_percentile_that_is_no_longer_answered_has_regressed() {
        let mut lossy = around(50, 7);
        (0..6_000).step_by(10).for_each(|number| lossy.count_scheduled(Duration::from_millis(number * 10)));
        let compared = compare(&around(50, 7), &lossy, 1_000.0).unwrap();
        let verdicts: Vec<_> = compared.metrics.iter().map(|metric| metric.verdict).collect();
        assert_eq!(verdicts, [Verdict::NotRegressed, Verdict::Regressed, Verdict::Regressed]);
        assert_eq!(verdict_of(&lossy, &around(50, 7), 10.0), Verdict::Inconclusive);
    }

    #[test]
    fn short_measurements_are_not_compared() {
        assert_eq!(compare(&around(50, 7), &Intervals::new(Duration::from_secs(10)), 10.0), None);
    }
}
