//! Percentiles over everything that was scheduled.

use serde::Serialize;

use crate::histogram::LatencyHistogram;

/// Percentiles in microseconds. An image without an answer has an infinite latency: a percentile that falls on one is
/// none, which reads "unbounded".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many finite values there are.
    pub count: u64,
    /// The smallest value.
    pub min: Option<u64>,
    /// The arithmetic mean of the finite values.
    pub mean: Option<u64>,
    /// The median.
    pub p50: Option<u64>,
    /// The 90th percentile.
    pub p90: Option<u64>,
    /// The 95th percentile.
    pub p95: Option<u64>,
    /// The 99th percentile.
    pub p99: Option<u64>,
    /// The 99.9th percentile.
    pub p999: Option<u64>,
    /// The largest value; none if any value is infinite.
    pub max: Option<u64>,
}

/// Percentiles over `total` values, of which those missing from the histogram are infinite. A `total` smaller than the
/// histogram's count is taken to be that count.
///
/// The percentile p is the value of rank ⌈p/100 · total⌉ in ascending order (nearest rank), computed with integers.
pub fn summarize(histogram: &LatencyHistogram, total: u64) -> Summary {
    let total = total.max(histogram.count());
    let quantile = |permille: u64| histogram.value_at_rank(rank(total, permille));
    Summary {
        count: histogram.count(),
        min: histogram.min(),
        mean: histogram.mean(),
        p50: quantile(500),
        p90: quantile(900),
        p95: quantile(950),
        p99: quantile(990),
        p999: quantile(999),
        max: histogram.max().filter(|_| histogram.count() == total),
    }
}

/// The rank of a quantile among so many values, from 1.
pub(crate) fn rank(total: u64, permille: u64) -> u64 {
    let rank = (u128::from(total) * u128::from(permille)).div_ceil(1_000).max(1);
    u64::try_from(rank).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_to(last: u64) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::new();
        (1..=last).for_each(|value| histogram.record(value).unwrap());
        histogram
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let summary = summarize(&one_to(100), 100);
        assert_eq!(summary.p50, Some(50));
        assert_eq!(summary.p90, Some(90));
        assert_eq!(summary.p95, Some(95));
        assert_eq!(summary.p99, Some(99));
        assert_eq!(summary.p999, Some(100));
        assert_eq!((summary.min, summary.mean, summary.max), (Some(1), Some(51), Some(100)));
    }

    #[test]
    fn more_than_five_percent_lost_leaves_no_p95() {
        assert_eq!(summarize(&one_to(95), 100).p95, Some(95));
        assert_eq!(summarize(&one_to(94), 100).p95, None);
        assert_eq!(summarize(&one_to(94), 100).p90, Some(90));
    }

    #[test]
    fn one_lost_image_leaves_no_maximum() {
        assert_eq!(summarize(&one_to(99), 100).max, None);
        assert_eq!(summarize(&one_to(99), 100).mean, Some(50));
    }

    #[test]
    fn without_any_value_there_is_no_percentile() {
        assert_eq!(summarize(&LatencyHistogram::new(), 0), Summary::default());
        assert_eq!(summarize(&LatencyHistogram::new(), 10), Summary::default());
    }
}
