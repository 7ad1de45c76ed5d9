//! The bounds of a search for the highest rate.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A search for the highest rate of all producers together that meets the SLOs of the template: the rate is doubled from
/// `from` until one misses them, then bisected down to the resolution, then confirmed by more runs on both sides.
///
/// The number of producers is that of the template, so rates are multiples of it. A run that is limited by the producers
/// themselves says nothing about the Pipeline; if it happens again, the search ends and says so.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MaxRate {
    /// The first and lowest rate to try, in images per second of all producers together, from 1 to 1000000.
    #[x_kube(validation = Rule::new("self >= 1 && self <= 1000000").message("write a rate from 1 to 1000000 images a second"))]
    pub from: i32,
    /// The highest rate to try, in images per second of all producers together, from 1 to 1000000.
    #[x_kube(validation = Rule::new("self >= 1 && self <= 1000000").message("write a rate from 1 to 1000000 images a second"))]
    pub to: i32,
    /// The search ends when the lowest rate that missed the SLOs is at most this many percent above the highest rate that met
    /// them, or one image per second of each producer above it. From 1 to 50; defaults to 5.
    #[serde(default = "five_percent")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 50").message("write a resolution from 1 to 50 percent"))]
    pub resolution_percent: i32,
    /// The number of runs that decide about each side of the boundary: a rate meets the SLOs if more than half of this many
    /// runs met them, so with two runs both have to. No more runs are made than the decision needs; other rates are run once.
    /// From 1 to 9; defaults to 3.
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
