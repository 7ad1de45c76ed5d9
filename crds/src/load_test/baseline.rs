//! How a result differs from that of an earlier LoadTest.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

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
