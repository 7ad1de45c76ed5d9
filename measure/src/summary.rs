//! Percentiles over everything that was scheduled.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{histogram::LatencyHistogram, signed};

/// Percentiles over all scheduled images. An image without an answer has an infinite latency; a percentile that falls on it
/// is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The number of finite values.
    #[serde(with = "signed::Count")]
    pub count: u64,
    /// The smallest value.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// The arithmetic mean of the finite values.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<u64>,
    /// The median.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<u64>,
    /// The 90th percentile.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<u64>,
    /// The 95th percentile.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<u64>,
    /// The 99th percentile.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<u64>,
    /// The 99.9th percentile.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub p999: Option<u64>,
    /// The largest value; absent if any image had no answer.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// Percentiles of one LoadTest, in microseconds; a percentile that falls on images without an answer is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Percentiles {
    /// The median.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<u64>,
    /// The 90th percentile.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<u64>,
    /// The 95th percentile.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<u64>,
    /// The 99th percentile.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<u64>,
}

impl From<Summary> for Percentiles {
    fn from(Summary { p50, p90, p95, p99, .. }: Summary) -> Self {
        Self { p50, p90, p95, p99 }
    }
}

impl Summary {
    /// Of what was recorded, none of which is infinite.
    pub fn of_values(histogram: &LatencyHistogram) -> Self {
        summarize(histogram, histogram.count())
    }
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
