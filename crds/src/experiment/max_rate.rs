//! The bounds of a search for the highest rate.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A search for the highest rate of all producers together that keeps the SLOs of the template: doubling from `from` until
/// a rate does not hold, then bisection down to the resolution, then more runs on both sides of the boundary.
///
/// The number of producers stays that of the template, so rates are multiples of it. A run in which the producers
/// themselves were the limit says nothing about the Pipeline; if that is so again, the search is given up and says so.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MaxRate {
    /// The first rate that is tried, and the lowest, in images a second of all producers together.
    #[x_kube(validation = Rule::new("self >= 1 && self <= 1000000").message("write a rate from 1 to 1000000 images a second"))]
    pub from: i32,
    /// The highest rate that is tried, in images a second of all producers together.
    #[x_kube(validation = Rule::new("self >= 1 && self <= 1000000").message("write a rate from 1 to 1000000 images a second"))]
    pub to: i32,
    /// The search ends when the lowest rate that did not hold is at most so many percent above the highest that did, or one
    /// image a second of each producer above it. From 1 to 50; by default 5.
    #[serde(default = "five_percent")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 50").message("write a resolution from 1 to 50 percent"))]
    pub resolution_percent: i32,
    /// How many runs decide about the highest rate that held and about the lowest that did not: a rate holds if more than
    /// half of so many runs kept all SLOs, so of two both must. No more runs are made than are needed for that; other
    /// rates on the way are run once. From 1 to 9; by default 3.
    #[serde(default = "three_runs")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 9").message("write a number of confirmations from 1 to 9"))]
    pub confirmations: i32,
}

fn five_percent() -> i32 {
    5
}

fn three_runs() -> i32 {
    3
}
