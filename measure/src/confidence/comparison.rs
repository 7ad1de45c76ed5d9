use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    SEED,
    bootstrap::{FEWEST_INTERVALS, QUANTILES, Replicates, replicates},
    ends,
};
use crate::{display, intervals::Intervals, signed, slo::Metric};

/// The percentiles that are compared.
const COMPARED: [(Metric, u64); 3] = [(Metric::P50, 500), (Metric::P95, 950), (Metric::P99, 990)];

/// The difference to the baseline, with 95 % confidence intervals from a block bootstrap over one-second histograms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The name of the LoadTest that is the baseline.
    pub baseline: String,
    /// How much slower a percentile may be, in percent.
    pub max_regression_percent: i32,
    /// The worst verdict of all percentiles.
    pub verdict: RegressionVerdict,
    /// The verdict in one sentence.
    pub message: String,
    /// The median, the p95 and the p99; empty if there is nothing to compare.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricComparison>,
    /// What was different between the two measurements, one sentence each: it may explain a difference in latency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment_differences: Vec<String>,
}

/// The verdict on a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum RegressionVerdict {
    /// The whole confidence interval lies within the allowed difference.
    NotRegressed,
    /// The confidence interval reaches beyond the allowed difference, or there is none: measure longer.
    Inconclusive,
    /// The whole confidence interval lies above the allowed difference.
    Regressed,
}

/// One latency percentile of both LoadTests, in microseconds; absent where it falls on images without an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricComparison {
    /// The percentile.
    pub metric: Metric,
    /// The value of the baseline.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub baseline_micros: Option<u64>,
    /// The value of this LoadTest.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub observed_micros: Option<u64>,
    /// This LoadTest minus the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference_micros: Option<Change<i64>>,
    /// The same in percent of the baseline, such as `12.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference_percent: Option<Change<String>>,
    /// The verdict on this percentile.
    pub verdict: RegressionVerdict,
}

/// A difference and its 95 % confidence interval. An unbounded end is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change<T> {
    /// The measured difference.
    pub value: T,
    /// The lower end of the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<T>,
    /// The upper end of the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<T>,
}

impl Comparison {
    /// Compares a measurement with the baseline of this name, of which a percentile may be so much slower.
    pub fn of(name: &str, max_regression_percent: i32, baseline: &Intervals, observed: &Intervals) -> Self {
        let unknown = |why| Self::unknown(name, max_regression_percent, why);
        match compare(baseline, observed, f64::from(max_regression_percent)) {
            Some(Compared { verdict, metrics, worst }) => {
                let message = sentence(name, max_regression_percent, verdict, &worst);
                Self { verdict, metrics, ..unknown(message) }
            }
            None => unknown(format!(
                "the runs are too short to be compared: both need {FEWEST_INTERVALS} intervals of a second"
            )),
        }
    }

    /// Nothing can be said of the difference, and why.
    pub fn unknown(name: &str, max_regression_percent: i32, why: String) -> Self {
        Self {
            baseline: name.to_owned(),
            max_regression_percent,
            verdict: RegressionVerdict::Inconclusive,
            message: why,
            metrics: vec![],
            environment_differences: vec![],
        }
    }
}

/// What can be said of all percentiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The worst of the percentiles.
    pub verdict: RegressionVerdict,
    /// The median, the p95 and the p99.
    pub metrics: Vec<MetricComparison>,
    /// The percentile that decides.
    worst: Percentile,
}

/// One percentile with all digits.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Percentile {
    metric: Metric,
    baseline: Option<u64>,
    observed: Option<u64>,
    /// By how many microseconds the measurement is slower; none if either is unbounded.
    micros: Option<Change<f64>>,
    /// By how many percent of the baseline it is slower.
    percent: Option<Change<f64>>,
    verdict: RegressionVerdict,
}

/// Compares a measurement with a baseline that was measured independently of it: both are drawn anew by block bootstrap,
/// and the interval of confidence is that of the differences of the draws. None if either has too few intervals.
/// `allowed` is by how many percent a percentile may be slower.
pub fn compare(baseline: &Intervals, observed: &Intervals, allowed: f64) -> Option<Compared> {
    // Independent draws: with the same seed, intervals of the same length would be drawn alike.
    let draws = (replicates(baseline, SEED)?, replicates(observed, SEED + 1)?);
    let points = (totals(baseline), totals(observed));
    let percentiles: Vec<_> = COMPARED
        .iter()
        .filter_map(|(metric, permille)| {
            let quantile = QUANTILES.iter().position(|known| known == permille)?;
            Some(compare_one(*metric, quantile, points, &draws, allowed))
        })
        .collect();
    let verdict = percentiles.iter().map(|percentile| percentile.verdict).max()?;
    let slower = |percentile: &&Percentile| percentile.percent.map_or(f64::INFINITY, |change| change.value);
    let deciding = percentiles.iter().filter(|percentile| percentile.verdict == verdict);
    let worst = *deciding.max_by(|a, b| slower(a).total_cmp(&slower(b)))?;
    Some(Compared { verdict, metrics: percentiles.iter().map(Percentile::shown).collect(), worst })
}

type Points = [Option<u64>; QUANTILES.len()];

fn compare_one(
    metric: Metric,
    quantile: usize,
    points: (Points, Points),
    draws: &(Replicates, Replicates),
    allowed: f64,
) -> Percentile {
    let (baseline, observed) = (points.0[quantile], points.1[quantile]);
    let pairs = || draws.0[quantile].iter().copied().zip(draws.1[quantile].iter().copied());
    let change = |of: fn(f64, f64) -> f64| {
        let value = of(baseline? as f64, observed? as f64);
        // Where both are unbounded nothing can be said.
        let mut changes: Vec<f64> =
            pairs().map(|(before, after)| of(before, after)).filter(|change| !change.is_nan()).collect();
        let (low, high) = ends(&mut changes)?;
        let finite = |end: f64| end.is_finite().then_some(end);
        Some(Change { value, low: finite(low), high: finite(high) })
    };
    let percent = change(|before, after| (after / before - 1.0) * 100.0);
    let micros = change(|before, after| after - before);
    Percentile { metric, baseline, observed, micros, percent, verdict: verdict(baseline, percent, allowed) }
}

impl Percentile {
    /// With the digits that people read.
    fn shown(&self) -> MetricComparison {
        MetricComparison {
            metric: self.metric,
            baseline_micros: self.baseline,
            observed_micros: self.observed,
            difference_micros: self.micros.map(|change| change.map(|value| value.round() as i64)),
            difference_percent: self.percent.map(|change| change.map(|value| format!("{value:.1}"))),
            verdict: self.verdict,
        }
    }
}

impl<T> Change<T> {
    fn map<U>(self, of: impl Fn(T) -> U) -> Change<U> {
        Change { value: of(self.value), low: self.low.map(&of), high: self.high.map(&of) }
    }
}

/// Of the percentile that decides.
fn sentence(name: &str, allowed: i32, verdict: RegressionVerdict, worst: &Percentile) -> String {
    let value = |micros: Option<u64>| micros.map_or_else(|| "unbounded".to_owned(), display::micros);
    let numbers =
        format!("{:?} is {} and was {} in \"{name}\"", worst.metric, value(worst.observed), value(worst.baseline));
    let unbounded = |end: Option<f64>| end.unwrap_or(f64::INFINITY);
    let change = worst.percent.map(|Change { value, low, high }| {
        format!(" ({value:+.1} %, 95 % confidence {:+.1} to {:+.1} %)", unbounded(low), unbounded(high))
    });
    let judgement = match verdict {
        RegressionVerdict::NotRegressed => format!("not slower than the {allowed} % that are allowed"),
        RegressionVerdict::Inconclusive => {
            format!("whether that is slower than the {allowed} % that are allowed is not sure: measure longer")
        }
        RegressionVerdict::Regressed => format!("slower than the {allowed} % that are allowed"),
    };
    format!("{numbers}{}: {judgement}", change.unwrap_or_default())
}

fn verdict(baseline: Option<u64>, percent: Option<Change<f64>>, allowed: f64) -> RegressionVerdict {
    // Of a share, an unbounded end lies above all limits.
    let above = |end: Option<f64>| end.is_none_or(|end| end > allowed);
    match (baseline, percent) {
        (None, _) => RegressionVerdict::Inconclusive,
        // The baseline answers, and the measurement does not.
        (Some(_), None) => RegressionVerdict::Regressed,
        (Some(_), Some(change)) if above(change.low) => RegressionVerdict::Regressed,
        (Some(_), Some(change)) if !above(change.high) => RegressionVerdict::NotRegressed,
        (Some(_), Some(_)) => RegressionVerdict::Inconclusive,
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

    fn verdict_of(baseline: &Intervals, observed: &Intervals, allowed: f64) -> RegressionVerdict {
        compare(baseline, observed, allowed).unwrap().verdict
    }

    #[test]
    fn the_same_system_has_not_regressed() {
        assert_eq!(verdict_of(&around(50, 7), &around(50, 11), 10.0), RegressionVerdict::NotRegressed);
    }

    #[test]
    fn a_slower_one_has_regressed_beyond_what_is_allowed() {
        let compared = compare(&around(50, 7), &around(80, 11), 10.0).unwrap();
        assert_eq!(compared.verdict, RegressionVerdict::Regressed);
        let p95 = compared.metrics.iter().find(|metric| metric.metric == Metric::P95).unwrap();
        let change = p95.difference_micros.unwrap();
        assert!((29_000..31_000).contains(&change.value), "{change:?}");
        assert!(change.low <= Some(change.value) && Some(change.value) <= change.high);
        assert_eq!(verdict_of(&around(50, 7), &around(80, 11), 70.0), RegressionVerdict::NotRegressed);
    }

    #[test]
    fn a_difference_at_the_edge_of_what_is_allowed_is_inconclusive() {
        let compared = compare(&around(50, 7), &around(55, 11), 0.0).unwrap();
        let percent = |metric: &MetricComparison| metric.difference_percent.as_ref().unwrap().value.parse().unwrap();
        let edge = compared.metrics.iter().map(percent).fold(f64::MAX, f64::min);
        assert_eq!(verdict_of(&around(50, 7), &around(55, 11), edge), RegressionVerdict::Inconclusive);
    }

    #[test]
    fn a_percentile_that_is_no_longer_answered_has_regressed() {
        let mut lossy = around(50, 7);
        (0..6_000).step_by(10).for_each(|number| lossy.count_scheduled(Duration::from_millis(number * 10)));
        let compared = compare(&around(50, 7), &lossy, 1_000.0).unwrap();
        let verdicts: Vec<_> = compared.metrics.iter().map(|metric| metric.verdict).collect();
        assert_eq!(
            verdicts,
            [RegressionVerdict::NotRegressed, RegressionVerdict::Regressed, RegressionVerdict::Regressed]
        );
        assert_eq!(verdict_of(&lossy, &around(50, 7), 10.0), RegressionVerdict::Inconclusive);
    }

    #[test]
    fn short_measurements_are_not_compared() {
        let short = Intervals::new(Duration::from_secs(10));
        assert_eq!(compare(&around(50, 7), &short, 10.0), None);
        let comparison = Comparison::of("main", 10, &around(50, 7), &short);
        assert_eq!(comparison.verdict, RegressionVerdict::Inconclusive);
        assert!(comparison.message.contains("too short"), "{}", comparison.message);
    }
}
