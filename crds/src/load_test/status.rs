//! What was measured.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tailrace_measure::{
    accounting::{Counts, Stages},
    confidence::Confidence,
    summary::Summary,
};

use super::{Comparison, SloResult};
use crate::pipeline::ModelStatus;

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
    /// Finished without a valid result, with an SLO missed or slower than its baseline; the conditions say which.
    Failed,
    /// Ended by `abort`; the result is what was measured up to then.
    Aborted,
}

impl Phase {
    /// Whether nothing changes any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Aborted)
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
    /// The images of the measurement; while the LoadTest runs, all images so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Counts>,
    /// The progress of a LoadTest that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// When the operator noticed `abort` after the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_time: Option<MicroTime>,
    /// The Pipeline as it was at the start: a result is valid only if the Pipeline is the same at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_at_start: Option<PipelineAtStart>,
    /// The images of the warm-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_messages: Option<Counts>,
    /// From the intended send to the answer, in microseconds: the latency of this LoadTest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_micros: Option<Summary>,
    /// 95 % confidence intervals of percentiles of the latency, in microseconds, from a block bootstrap over one-second
    /// histograms. Absent if fewer than 20 seconds were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence_micros: Option<Confidence>,
    /// From the actual send to the answer, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_latency_micros: Option<Summary>,
    /// From the intended to the actual send, in microseconds: how late the producers themselves were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_delay_micros: Option<Summary>,
    /// The parts of the service latency, in microseconds. Each is measured by the clock of one host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages_micros: Option<Stages<Summary>>,
    /// Rates of all producers together, in images per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The time between the first and the last producer's start, in microseconds, by the clocks of their hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_skew_micros: Option<i64>,
    /// The share of answers with the correct label, in percent of those whose correct label is known, such as `91.7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_percent: Option<String>,
    /// Whether each SLO was met, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slos: Vec<SloResult>,
    /// The comparison with the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Warnings, which do not make the result invalid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Where the measurement of each second is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histograms: Option<Histograms>,
    /// The environment in which the result was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
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

/// A warning about a result that is valid.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// `Unstable`: the queue was still growing at the end, so the percentiles depend on the duration. `GeneratorLate`: the
    /// producers were late or CPU-throttled, by less than would make the result invalid. `Shared`: the Pipeline
    /// had other images to classify, or shared a node with the producers. `DocumentsLeft`: the documents could not be deleted
    /// from the database. `NodeLost`: a producer of another LoadTest was on a node that does not respond, and was counted as
    /// gone. `HistogramsNotKept`: the ConfigMap with the one-second histograms could not be created. `NotCounted`: Kafka did
    /// not report how many records were produced to the images topic.
    pub reason: String,
    /// One sentence with the numbers.
    pub message: String,
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

/// Images per second, as decimal numbers such as `99.8`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// The rate in the spec; absent for a closed load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The rate at which images were sent.
    pub offered: String,
    /// The rate at which images were answered.
    pub achieved: String,
}

/// The environment in which a result was measured.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Environment {
    /// Container images of the producers and of the components of the Pipeline.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    /// The model that answered the check of the Pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelStatus>,
    /// The node of each producer, in the order of the producers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub producer_nodes: Vec<String>,
    /// Actual requests and limits of the pods of the producers and of the components of the Pipeline, such as
    /// `cpu 250m, memory 128Mi..512Mi`; different values are separated by semicolons. A container injected by something else,
    /// such as a service mesh, is listed as `producer/istio-proxy`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, String>,
    /// Annotations of the pods that matter for the measurement, by component: what a LimitRange changed, and whether a
    /// service mesh carries the traffic.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, BTreeMap<String, String>>,
    /// Nodes on which both producers and pods of the Pipeline ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared_nodes: Vec<String>,
    /// The Kafka client settings of the producers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub client_settings: BTreeMap<String, String>,
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
