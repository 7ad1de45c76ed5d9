//! What a result has to keep.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use tailrace_measure::slo::{self, Metric};

use crate::duration;

/// A service level objective: a metric and its limit. Exactly one of `max` and `min` must be set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("has(self.max) != has(self.min)")
        .message("exactly one of max and min must be set: max is the largest value that meets the objective, min the smallest"),
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
    /// The metric. `P50`, `P90`, `P95`, `P99`, `P999`, `Max` and `Mean` are of the latency from the intended send;
    /// `UnansweredPercent` is the share of scheduled images without a label: lost, answered with an error, or not sent at
    /// all; `LostPercent` that of the lost ones alone; `AchievedRatePercent` the share of images answered
    /// until the end of the measurement, of those that an open load was to send; `AccuracyPercent` the share of correct labels, of all answers whose correct label
    /// is known.
    pub metric: Metric,
    /// The largest value that meets the objective: a duration such as `50ms`, or for a share a number of percent such as
    /// `0.1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub max: Option<String>,
    /// The smallest value that meets the objective: for a share a number of percent such as `99`, or a duration such as
    /// `1ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub min: Option<String>,
}

impl From<&Slo> for slo::Slo {
    fn from(Slo { metric, max, min }: &Slo) -> Self {
        Self { metric: *metric, max: max.clone(), min: min.clone() }
    }
}
