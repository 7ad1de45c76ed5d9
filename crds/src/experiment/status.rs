//! What an Experiment has found.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::load_test;

/// Where an Experiment is on its way.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Phase {
    /// Nothing was made yet.
    #[default]
    Pending,
    /// A LoadTest was made and is not over.
    Running,
    /// The Pipeline is left alone before the next LoadTest.
    CoolingDown,
    /// No LoadTest runs, and none is made while `suspend` is true.
    Suspended,
    /// Finished with an answer: all LoadTests of a sweep succeeded, or the highest rate was found.
    Succeeded,
    /// Finished without; the message says why.
    Failed,
    /// Ended by `abort`.
    Aborted,
}

impl Phase {
    /// Whether nothing changes any more, but for a new round.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Aborted)
    }
}

/// What was found. The end of a round is written once.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(
    validation = Rule::new("!has(oldSelf.completionTime) || self == oldSelf || (has(self.round) && has(oldSelf.round) && self.round > oldSelf.round)")
        .message("the status of a finished Experiment is not changed any more: annotate it with tailrace.dev/rerun to run it again")
)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStatus {
    /// The generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the Experiment is on its way.
    #[serde(default)]
    pub phase: Phase,
    /// Finished, Succeeded, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The state of the Experiment in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How often the Experiment was begun. It is part of the names of the LoadTests; this status is that of the last round.
    #[serde(default)]
    pub round: i32,
    /// The value of the annotation `tailrace.dev/rerun` that this round was begun for: its first 253 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerun: Option<String>,
    /// When the round was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<MicroTime>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<MicroTime>,
    /// How many LoadTests are over.
    #[serde(default)]
    pub done: i32,
    /// How many there will be; left out for maxRate, which ends when it knows enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i32>,
    /// The table: each point in the order of its list, or each rate in the order in which maxRate came to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub points: Vec<Point>,
    /// In a sweep the point with the lowest median of the p95 among those that have one, the first of equal ones;
    /// for maxRate the highest rate that held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// The answer of maxRate, or how far it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<MaxRateResult>,
    /// The texts of the columns of `kubectl get`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<Display>,
}

/// One row of the table.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// How many producers sent.
    pub producers: i32,
    /// Images a second of each producer; left out for a closed load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_producer: Option<i32>,
    /// Its LoadTests, in the order of their repetitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub runs: Vec<Run>,
    /// How many of them have a valid result.
    #[serde(default)]
    pub valid_runs: i32,
    /// What the valid ones say together, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_micros: Option<Spreads>,
}

/// One LoadTest. What is written here when it is over stays, though the LoadTest itself be deleted.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The name of the LoadTest: that of the Experiment, the round, the place of the point and the repetition, from 1.
    pub load_test: String,
    /// Where it is on its way.
    #[serde(default)]
    pub phase: load_test::Phase,
    /// Whether its numbers mean what they say; left out until it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
    /// Why it did not succeed, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it did not succeed, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// See [`Outcome`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// From the intended send to the answer, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_micros: Option<Percentiles>,
    /// Images that were sent and not answered in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<i64>,
    /// Images a second that were answered, such as `99.8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub achieved_rate: Option<String>,
    /// When it was over; the cool-down counts from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<MicroTime>,
    /// The LoadTests that this one repeats, since their Pipeline changed while they ran; at most two. Their numbers count
    /// nowhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub repeated: Vec<Repeated>,
}

/// A LoadTest that was made again.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Repeated {
    /// The name of the LoadTest.
    pub load_test: String,
    /// What changed, in one sentence.
    pub message: String,
    /// When it was over; the cool-down counts from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<MicroTime>,
}

/// For maxRate: what one LoadTest says about its rate; left out if it says nothing.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All SLOs were kept.
    Held,
    /// An SLO was missed, or the Pipeline took or answered too few images to look at any.
    Missed,
    /// The producers were the limit, so nothing is known about the Pipeline.
    ProducersLimited,
}

/// Percentiles of one LoadTest, in microseconds; one that falls on images without an answer is left out.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Percentiles {
    /// The median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<i64>,
    /// The 90th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<i64>,
    /// The 95th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95: Option<i64>,
    /// The 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<i64>,
}

/// Percentiles of several LoadTests. They are not averaged: the median is the percentile of the LoadTest in the middle.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Spreads {
    /// Of the medians.
    #[serde(default)]
    pub p50: Spread,
    /// Of the 90th percentiles.
    #[serde(default)]
    pub p90: Spread,
    /// Of the 95th percentiles.
    #[serde(default)]
    pub p95: Spread,
    /// Of the 99th percentiles.
    #[serde(default)]
    pub p99: Spread,
}

/// One percentile of several LoadTests, in microseconds. A percentile that falls on images without an answer is infinite; a
/// number that is infinite is left out.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// The one in the middle; of an even number the larger of both that are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median: Option<i64>,
    /// The smallest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// The largest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// The standard deviation of the sample, of three LoadTests or more; left out if one of them is infinite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_deviation: Option<i64>,
}

/// The best point.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Best {
    /// How many producers sent.
    pub producers: i32,
    /// Images a second of all producers together; left out for a closed load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<i32>,
    /// The median of the p95 of its valid LoadTests, in microseconds; left out if it is infinite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_micros: Option<i64>,
}

/// The answer of maxRate, in images a second of all producers together. Where the search was given up, how far it came.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct MaxRateResult {
    /// The highest rate that held, with no lower one that did not; left out if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<i32>,
    /// The lowest rate that did not hold; left out if all held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<i32>,
    /// A rate above `missed` that held nevertheless. It is not believed, and says that the outcomes are not monotone.
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

/// The texts of the columns.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Display {
    /// How many LoadTests are over, of all where that is known: `3/5`, or `7`.
    pub done: String,
    /// Such as `3 producers`, or `400/s` of all producers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<String>,
    /// The median of the p95 of the best point, such as `2.1ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95: Option<String>,
}
