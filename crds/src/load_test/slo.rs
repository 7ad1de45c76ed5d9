//! What a result has to keep.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
pub use tailrace_measure::slo::Metric;

use crate::duration;

/// One number and its limit. A test that misses one has not succeeded.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("has(self.max) != has(self.min)")
        .message("exactly one of max and min is wanted: max is the largest value that is good, min the smallest"),
    validation = duration::is_duration_unless(
        "self.metric.endsWith('Percent')",
        "(has(self.max) ? self.max : has(self.min) ? self.min : '1s')",
        "the limit of a latency is a duration: write a number with a unit, such as 50ms or 1.5s"
    ),
    validation = Rule::new("!self.metric.endsWith('Percent') || (has(self.max) ? self.max : has(self.min) ? self.min : '1').matches('^(100([.]0+)?|[0-9]{1,2}([.][0-9]{1,9})?)$')")
        .message("the limit of a share is in percent: write a number from 0 to 100 without a unit, such as 99.5")
)]
#[serde(rename_all = "camelCase")]
pub struct Slo {
    /// `P50`, `P90`, `P95`, `P99`, `P999`, `Max` or `Mean` of the latency from the intended send; `LostPercent` of the
    /// images scheduled; `AchievedRatePercent`: images answered, of those that an open load was to send; or
    /// `AccuracyPercent`: right labels, of all labels whose right one is known.
    pub metric: Metric,
    /// The largest value that is good: a duration such as `50ms`, or percent such as `0.1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub max: Option<String>,
    /// The smallest value that is good: percent such as `99`, or a duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub min: Option<String>,
}

/// How an SLO was kept.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SloResult {
    /// What the limit is on.
    pub metric: Metric,
    /// The largest value that is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// The smallest value that is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// The value, such as `31.5ms` or `99.8`; `>30s` if it falls on images without an answer; left out if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// Whether the limit was kept.
    pub met: bool,
}
