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
    /// By how many percent p50, p95 and p99 may be slower, from 0 to 1000. The test fails if one of them is slower for
    /// sure, that is, if its whole 95 % interval of confidence lies above this. By default 10.
    #[serde(default = "ten_percent")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 1000").message("write a number of percent from 0 to 1000"))]
    pub max_regression_percent: i32,
}

fn ten_percent() -> i32 {
    10
}

/// The difference to the baseline, with 95 % intervals of confidence by block bootstrap over the histograms of seconds.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The LoadTest it is compared with.
    pub baseline: String,
    /// By how many percent a percentile may be slower.
    pub max_regression_percent: i32,
    /// The worst of the verdicts of the percentiles.
    pub verdict: RegressionVerdict,
    /// The verdict in one sentence.
    pub message: String,
    /// The median, the p95 and the p99; none if nothing can be said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricComparison>,
    /// In what the two were measured differently, each in a sentence: a difference may come from there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment_differences: Vec<String>,
}

/// What can be said of a difference.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegressionVerdict {
    /// The whole interval of confidence lies within what is allowed.
    NotRegressed,
    /// The interval of confidence reaches beyond what is allowed, or there is none: measure longer.
    Inconclusive,
    /// The whole interval of confidence lies above what is allowed.
    Regressed,
}

/// One percentile of the latency in both, in microseconds; left out where it falls on images without an answer.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MetricComparison {
    /// The percentile.
    pub metric: Metric,
    /// In the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_micros: Option<i64>,
    /// In this test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_micros: Option<i64>,
    /// This test less the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference_micros: Option<Difference>,
    /// The same in percent of the baseline, such as `12.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference_percent: Option<DifferencePercent>,
    /// What can be said of it.
    pub verdict: RegressionVerdict,
}

/// A difference in microseconds and its 95 % interval of confidence. An end is left out if it is unbounded.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The difference of what was measured.
    pub value: i64,
    /// The lower end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<i64>,
    /// The upper end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<i64>,
}

/// A difference in percent and its 95 % interval of confidence, as decimal numbers. An end is left out if it is unbounded.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DifferencePercent {
    /// The difference of what was measured.
    pub value: String,
    /// The lower end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<String>,
    /// The upper end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<String>,
}
