//! How sure a percentile is: what it would have been, had the same system been measured again for as long.

mod bootstrap;
mod comparison;

pub use bootstrap::FEWEST_INTERVALS;
pub use comparison::{Change, Compared, Comparison, MetricComparison, RegressionVerdict, compare};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::bootstrap::{QUANTILES, replicates};
use crate::{intervals::Intervals, signed};

/// The seed of the draws: the same measurement has the same intervals of confidence.
const SEED: u64 = 1;

/// The confidence interval of each percentile. It is absent if fewer than 10 / (1 - q) images were scheduled, or if even its
/// lower end falls on images without an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Confidence {
    /// Of the median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<Range>,
    /// Of the 90th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<Range>,
    /// Of the 95th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95: Option<Range>,
    /// Of the 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<Range>,
}

/// Two ends, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Range {
    /// The lower end.
    #[serde(with = "signed::Count")]
    pub low: u64,
    /// The upper end; absent if it falls on images without an answer.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub high: Option<u64>,
}

/// The intervals of confidence of the percentiles of a measurement. None of a measurement of fewer than
/// [`FEWEST_INTERVALS`] intervals. A quantile q has one if at least 10 / (1 - q) images were scheduled: with fewer the
/// draws repeat the few largest values and say nothing of others.
pub fn confidence(intervals: &Intervals) -> Option<Confidence> {
    let scheduled: u64 = intervals.list().iter().map(|interval| interval.scheduled).sum();
    let mut replicates = replicates(intervals, SEED)?;
    let mut ranges = [None; QUANTILES.len()];
    for ((range, draws), permille) in ranges.iter_mut().zip(&mut replicates).zip(QUANTILES) {
        if scheduled * (1_000 - permille) >= 10 * 1_000 {
            *range = middle(draws);
        }
    }
    let [p50, p90, p95, p99] = ranges;
    Some(Confidence { p50, p90, p95, p99 })
}

/// What 95 % of the draws lie in; none if even the lower end is infinite.
fn middle(draws: &mut [f64]) -> Option<Range> {
    let (low, high) = ends(draws)?;
    let finite = |micros: f64| micros.is_finite().then_some(micros as u64);
    Some(Range { low: finite(low)?, high: finite(high) })
}

/// The 2.5 % and the 97.5 % quantile.
fn ends(draws: &mut [f64]) -> Option<(f64, f64)> {
    draws.sort_by(f64::total_cmp);
    let at = |share: f64| draws.get(((draws.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied();
    Some((at(0.025)?, at(0.975)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A hundred images a second, answered after 1 to 100 ms, of which every `lost`-th is lost.
    fn intervals(seconds: u64, lost: u64) -> Intervals {
        let mut intervals = Intervals::new(Duration::from_secs(seconds));
        for number in 0..seconds * 100 {
            let intended = Duration::from_millis(number * 10);
            intervals.count_scheduled(intended);
            let latency = Duration::from_millis(1 + number * 37 % 100);
            let answered = number % lost != 0;
            intervals.record(intended, intended + latency, answered.then_some(latency));
        }
        intervals
    }

    #[test]
    fn a_percentile_lies_in_its_interval() {
        let confidence = confidence(&intervals(60, u64::MAX)).unwrap();
        for (range, micros) in [(confidence.p50, 50_000), (confidence.p95, 95_000), (confidence.p99, 99_000)] {
            let Range { low, high } = range.unwrap();
            assert!(low <= micros + 100 && high.unwrap() >= micros, "{low} to {high:?} for {micros}");
        }
    }

    #[test]
    fn the_same_measurement_has_the_same_intervals() {
        assert_eq!(confidence(&intervals(30, 50)), confidence(&intervals(30, 50)));
    }

    #[test]
    fn an_end_that_falls_on_lost_images_is_unbounded() {
        let confidence = confidence(&intervals(60, 20)).unwrap();
        assert_eq!(confidence.p90.map(|range| range.high.is_some()), Some(true));
        assert_eq!(confidence.p99, None, "of 5 % lost");
    }

    #[test]
    fn few_images_or_seconds_have_no_interval() {
        assert_eq!(confidence(&intervals(19, u64::MAX)), None);
        let mut few = Intervals::new(Duration::from_secs(30));
        (0..30).for_each(|second| few.count_scheduled(Duration::from_secs(second)));
        let confidence = confidence(&few).unwrap();
        assert_eq!((confidence.p90, confidence.p99), (None, None));
    }
}
