//! What an Experiment has found.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tailrace_measure::{repetitions::Spread, summary::Percentiles};

use crate::load_test;

/// The phase of an Experiment.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Phase {
    /// No LoadTest was created yet.
    #[default]
    Pending,
    /// A LoadTest was created and has not finished.
    Running,
    /// Waiting for `coolDown` before the next LoadTest.
    CoolingDown,
    /// No LoadTest runs, and none is created while `suspend` is true.
    Suspended,
    /// Finished with an answer: all LoadTests of a sweep succeeded, or the highest rate was found.
    Succeeded,
    /// Finished without an answer; the message says why.
    Failed,
    /// Ended by `abort`.
    Aborted,
}

impl Phase {
    /// Whether nothing changes any more, except by a new round.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Aborted)
    }
}

/// The results. The end of a round is written once.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(
    validation = Rule::new("!has(oldSelf.completionTime) || self == oldSelf || (has(self.round) && has(oldSelf.round) && self.round > oldSelf.round)")
        .message("the status of a finished Experiment cannot be changed: annotate it with tailrace.dev/rerun to run it again")
)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStatus {
    /// The generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The phase of the Experiment.
    #[serde(default)]
    pub phase: Phase,
    /// The conditions Finished, Succeeded, Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The state of the Experiment in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The number of the round, from 1: how often the Experiment was started. It is part of the names of the LoadTests; this
    /// status is that of the last round.
    #[serde(default)]
    pub round: i32,
    /// The value of the annotation `tailrace.dev/rerun` that started this round: its first 253 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerun: Option<String>,
    /// When the round started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<MicroTime>,
    /// When the round finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<MicroTime>,
    /// The number of finished LoadTests.
    #[serde(default)]
    pub done: i32,
    /// The number of all LoadTests; absent for maxRate, which does not know it in advance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i32>,
    /// The results: each point in the order of its list, or each rate in the order in which maxRate tried it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub points: Vec<Point>,
    /// In a sweep the point with the lowest median of the p95, the first of equal ones; for maxRate the highest rate that met
    /// the SLOs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// The result of maxRate, or how far the search got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<MaxRateResult>,
    /// The columns of `kubectl get`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<Display>,
}

/// The results of one point.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// The number of producers.
    pub producers: i32,
    /// The rate in images per second of each producer; absent for a closed load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_producer: Option<i32>,
    /// Its LoadTests, in the order of their repetitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub runs: Vec<Run>,
    /// The number of LoadTests with a valid result.
    #[serde(default)]
    pub valid_runs: i32,
    /// The latency of all valid LoadTests together, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_micros: Option<Spreads>,
}

/// One LoadTest. Its results stay here when the LoadTest itself is deleted.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The name of the LoadTest: the name of the Experiment, the round, the number of the point and the repetition, from 1.
    pub load_test: String,
    /// Its phase.
    #[serde(default)]
    pub phase: load_test::Phase,
    /// Whether its result is valid; absent until it has finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
    /// Why it did not succeed, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it did not succeed, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// For maxRate, the outcome at its rate: `Held` if it met all SLOs, `Missed` if it missed one, or `ProducersLimited` if
    /// the producers were the limit; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// From the intended send to the answer, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_micros: Option<Percentiles>,
    /// Images that were sent and not answered in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<i64>,
    /// Images answered per second, such as `99.8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub achieved_rate: Option<String>,
    /// When it finished; the cool-down counts from then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<MicroTime>,
    /// The LoadTests that this one repeats because their Pipeline changed while they ran; at most two. Their results are not
    /// counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub repeated: Vec<Repeated>,
}

/// A LoadTest that was repeated.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Repeated {
    /// The name of the LoadTest.
    pub load_test: String,
    /// What changed, in one sentence.
    pub message: String,
    /// When it finished; the cool-down counts from then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<MicroTime>,
}

/// For maxRate, the outcome of one LoadTest at its rate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All SLOs were met.
    Held,
    /// An SLO was missed, or the Pipeline accepted or answered too few images to evaluate any.
    Missed,
    /// The producers were the limit, so nothing is known about the Pipeline.
    ProducersLimited,
}

/// Percentiles of several LoadTests. They are not averaged: the median is the percentile of the LoadTest in the middle.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Spreads {
    /// The spread of the medians.
    #[serde(default)]
    pub p50: Spread,
    /// The spread of the 90th percentiles.
    #[serde(default)]
    pub p90: Spread,
    /// The spread of the 95th percentiles.
    #[serde(default)]
    pub p95: Spread,
    /// The spread of the 99th percentiles.
    #[serde(default)]
    pub p99: Spread,
}

/// The best point.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Best {
    /// The number of producers.
    pub producers: i32,
    /// The rate in images per second of all producers together; absent for a closed load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<i32>,
    /// The median of the p95 of its valid LoadTests, in microseconds; absent if it is infinite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_micros: Option<i64>,
}

/// The result of maxRate, in images per second of all producers together. If the search ended early, how far it got.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct MaxRateResult {
    /// The highest rate that met the SLOs, with no lower rate that missed them; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<i32>,
    /// The lowest rate that missed the SLOs; absent if all rates met them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<i32>,
    /// A rate above `missed` that nevertheless met the SLOs. It does not count, and shows that the outcomes are not monotone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_above: Option<i32>,
    /// All LoadTests at the rate `held`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub held_by: Vec<String>,
    /// All LoadTests at the rate `missed`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub missed_by: Vec<String>,
}

/// The columns of `kubectl get`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Display {
    /// The number of finished LoadTests, of all if that is known: `3/5`, or `7`.
    pub done: String,
    /// The best point, such as `3 producers`, or `400/s` of all producers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<String>,
    /// The median of the p95 of the best point, such as `2.1ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95: Option<String>,
}
