//! What was measured.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tailrace_measure::result::TestResult;

/// The phase of a LoadTest.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Phase {
    /// Waiting for its Pipeline, or for other LoadTests on it.
    #[default]
    Queued,
    /// Producers are being started and become ready.
    Starting,
    /// Images are sent and not measured yet.
    WarmingUp,
    /// Images are sent and measured.
    Running,
    /// The last images were sent; the producers wait for answers.
    Draining,
    /// Finished, with a valid result that meets all SLOs.
    Succeeded,
    /// Finished with a valid result that misses an SLO, or that is slower than its baseline by more than is allowed.
    Missed,
    /// Finished with a result that is not valid: its numbers do not mean what they say.
    Invalid,
    /// Ended without a result, for instance because its Pipeline or a producer could not start.
    Failed,
    /// Ended by `abort`; the result is what was measured up to then.
    Aborted,
}

impl Phase {
    /// Whether nothing changes any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Missed | Self::Invalid | Self::Failed | Self::Aborted)
    }
}

/// Whether the documents that a LoadTest wrote to the database were deleted.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Documents {
    /// Whether they were deleted.
    pub deleted: bool,
    /// How many documents were deleted, or why they were not.
    pub message: String,
}

/// What was measured. The common start and the end are written once, even if two operators should think that they lead.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(
    validation = Rule::new("!has(oldSelf.startTime) || (has(self.startTime) && self.startTime == oldSelf.startTime)")
        .message("the common start of the producers is written once"),
    validation = Rule::new("!has(oldSelf.completionTime) || self == oldSelf \
        || (!has(oldSelf.documents) && has(self.documents) && has(self.completionTime) \
            && self.completionTime == oldSelf.completionTime && self.phase == oldSelf.phase \
            && has(self.conditions) == has(oldSelf.conditions) \
            && (!has(self.conditions) || self.conditions == oldSelf.conditions))")
        .message("the status of a finished LoadTest cannot be changed, except once for its documents")
)]
#[serde(rename_all = "camelCase")]
pub struct LoadTestStatus {
    /// The generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The phase of the LoadTest.
    #[serde(default)]
    pub phase: Phase,
    /// Whether the documents of a LoadTest with `keepDocuments: false` were deleted; absent until that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<Documents>,
    /// The conditions Accepted, Finished, Succeeded, ResultsValid, SLOsMet (if there are any SLOs), Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The state of the LoadTest in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The time from which `startTimeout` counts: the LoadTest is first in the queue and its Pipeline is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<MicroTime>,
    /// When the producers were created; `readyTimeout` counts from then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting_since: Option<MicroTime>,
    /// When all producers start to send, with the warm-up if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<MicroTime>,
    /// When the LoadTest finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<MicroTime>,
    /// The number of producers that are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_producers: Option<i32>,
    /// What was measured.
    #[serde(flatten)]
    pub result: TestResult,
    /// The progress of a LoadTest that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// When the operator noticed `abort` after the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_time: Option<MicroTime>,
    /// The Pipeline as it was at the start: a result is valid only if the Pipeline is the same at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_at_start: Option<PipelineAtStart>,
    /// Where the measurement of each second is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histograms: Option<Histograms>,
    /// The columns of `kubectl get`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<Display>,
}

/// The progress of warm-up and measurement together.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// When the progress was reported.
    pub time: MicroTime,
    /// Seconds until the last image is sent.
    pub seconds_left: i64,
    /// The 95th percentile of the latency over the last few seconds, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_micros: Option<i64>,
    /// Answers per second over the last few seconds, such as `99.8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
}

/// What a Pipeline must not change while it is measured.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct PipelineAtStart {
    /// The revision in its status.
    pub revision: String,
    /// Its running pods by name: the UID, a slash, and the number of restarts of its containers.
    pub pods: BTreeMap<String, String>,
}

/// A ConfigMap with the keys `latency.hlog`, histograms of the latency in microseconds in HdrHistogram's log format V2,
/// and `intervals.csv`, the images scheduled and answered in each of the same intervals.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Histograms {
    /// The name of the ConfigMap; it is deleted with the LoadTest.
    pub config_map: String,
    /// The length of an interval in seconds: 1, or more if the measurement is longer than ten minutes.
    pub interval_seconds: i64,
}

/// The columns of `kubectl get`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Display {
    /// The load, such as `open 20/s`, `poisson 20/s`, `closed`, or `closed 4, think 100ms`; the rate is that of each producer.
    pub load: String,
    /// The median, such as `2.1ms`, or `>30s` if it falls on images that were not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<String>,
    /// The 90th percentile, in the form of p50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<String>,
    /// The 95th percentile, in the form of p50. While the LoadTest runs, that of the last few seconds, such as `~2.1ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95: Option<String>,
    /// The 99th percentile, in the form of p50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<String>,
    /// The number of SLOs met, of all: `2/3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slo: Option<String>,
}
