//! How a result differs from that of an earlier LoadTest.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metric;
use crate::rules;

/// A finished LoadTest with a valid result, in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BaselineRef {
    /// The name of the LoadTest.
    #[schemars(length(min = 1, max = 48))]
    #[x_kube(validation = rules::name_of("LoadTest"))]
    pub name: String,
    /// How much slower p50, p95 and p99 may be, in percent from 0 to 1000. The LoadTest fails if the whole 95 % confidence
    /// interval of one of the differences lies above this. Defaults to 10.
    #[serde(default = "ten_percent")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 1000").message("write a number of percent from 0 to 1000"))]
    pub max_regression_percent: i32,
}

fn ten_percent() -> i32 {
    10
}

/// The difference to the baseline, with 95 % confidence intervals from a block bootstrap over one-second histograms.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
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
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegressionVerdict {
    /// The whole confidence interval lies within the allowed difference.
    NotRegressed,
    /// The confidence interval reaches beyond the allowed difference, or there is none: measure longer.
    Inconclusive,
    /// The whole confidence interval lies above the allowed difference.
    Regressed,
}

/// One latency percentile of both LoadTests, in microseconds; absent where it falls on images without an answer.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MetricComparison {
    /// The percentile.
    pub metric: Metric,
    /// The value of the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_micros: Option<i64>,
    /// The value of this LoadTest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_micros: Option<i64>,
    /// This LoadTest minus the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference_micros: Option<Difference>,
    /// The same in percent of the baseline, such as `12.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference_percent: Option<DifferencePercent>,
    /// The verdict on this percentile.
    pub verdict: RegressionVerdict,
}

/// A difference in microseconds and its 95 % confidence interval. An unbounded end is absent.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The measured difference.
    pub value: i64,
    /// The lower end of the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<i64>,
    /// The upper end of the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<i64>,
}

/// A difference in percent and its 95 % confidence interval, as decimal numbers. An unbounded end is absent.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DifferencePercent {
    /// The measured difference.
    pub value: String,
    /// The lower end of the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<String>,
    /// The upper end of the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<String>,
}
