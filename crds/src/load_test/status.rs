//! What was measured.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Comparison, SloResult};
use crate::pipeline::ModelStatus;

/// Where a LoadTest is on its way.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Phase {
    /// Waiting for its Pipeline, or for other LoadTests on it.
    #[default]
    Queued,
    /// Producers are being started and become ready.
    Starting,
    /// Load runs and is not measured yet.
    WarmingUp,
    /// Load runs and is measured.
    Running,
    /// The last images were sent; answers are waited for.
    Draining,
    /// Finished, with a valid result that keeps all SLOs.
    Succeeded,
    /// Finished without a valid result, with an SLO missed or slower than its baseline; the conditions say which.
    Failed,
    /// Ended by `abort`; what was measured until then is shown.
    Aborted,
}

impl Phase {
    /// Whether nothing changes any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Aborted)
    }
}

/// What became of the documents that a test has put into the database.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Documents {
    /// Whether they are deleted.
    pub deleted: bool,
    /// How many there were, or why they are still there.
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
        .message("the status of a finished LoadTest is not changed any more, but once for its documents")
)]
#[serde(rename_all = "camelCase")]
pub struct LoadTestStatus {
    /// The generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the test is on its way.
    #[serde(default)]
    pub phase: Phase,
    /// What became of the documents of a test with `keepDocuments: false`; absent until that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<Documents>,
    /// Accepted, Finished, Succeeded, ResultsValid, SLOsMet (where there are any), Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The state of the test in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Since when `startTimeout` counts: the test is first in line and its Pipeline is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<MicroTime>,
    /// When the producers were made; `readyTimeout` counts from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting_since: Option<MicroTime>,
    /// The common start of all producers, of the warm-up if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<MicroTime>,
    /// When the test was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<MicroTime>,
    /// How many producers have said that they are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_producers: Option<i32>,
    /// The images of the measurement; while the test runs, all images so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Messages>,
    /// While the test runs: how it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// When `abort` was seen after the common start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_time: Option<MicroTime>,
    /// The Pipeline as it was at the common start: a result is only valid if it is the same at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_at_start: Option<PipelineAtStart>,
    /// The images of the warm-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_messages: Option<Messages>,
    /// From the intended send to the answer, in microseconds: the latency of this test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_micros: Option<Latency>,
    /// 95 % intervals of confidence of percentiles of the latency, in microseconds: block bootstrap over the histograms of
    /// seconds. Left out if fewer than 20 of these were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence_micros: Option<Confidence>,
    /// From the actual send to the answer, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_latency_micros: Option<Latency>,
    /// From the intended to the actual send, in microseconds: how late the producers themselves were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_delay_micros: Option<Latency>,
    /// Where the service latency went, in microseconds. Each is a duration by one clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages_micros: Option<Stages>,
    /// Images a second, of all producers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Between the first and the last producer's start, in microseconds, by their hosts' clocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_skew_micros: Option<i64>,
    /// The share of answers with the right label, in percent of those whose right label is known, such as `91.7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_percent: Option<String>,
    /// How each SLO of the spec was kept, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slos: Vec<SloResult>,
    /// How the result differs from that of the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// What does not make the result invalid, and should be known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Where the measurement is kept second by second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histograms: Option<Histograms>,
    /// What the numbers were measured with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// The texts of the columns of `kubectl get`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<Display>,
}

/// Every image is accounted for: scheduled = sent + sendErrors, sent = received + lost.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Messages {
    /// Images whose time to be sent came.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub scheduled: i64,
    /// Images that Kafka acknowledged.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub sent: i64,
    /// Images that Kafka did not take.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub send_errors: i64,
    /// Images that were answered, with a label or with an error.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub received: i64,
    /// Images that were sent and not answered in time.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub lost: i64,
    /// Answers beyond the first one of an image.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub duplicates: i64,
    /// Answers that say that the image could not be classified; they are part of `received`.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub answer_errors: i64,
}

/// Percentiles over all images scheduled; one without an answer has an infinite latency, and a percentile that falls on it is left out.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// The number of finite values.
    pub count: i64,
    /// The smallest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// The arithmetic mean of the finite values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<i64>,
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
    /// The 99.9th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p999: Option<i64>,
    /// The largest value; left out if any image had no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
}

/// From the lower to the upper end of an interval of confidence, for each percentile. One is left out if fewer than
/// 10 / (1 - q) images were scheduled, or if even its lower end falls on images without an answer.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Confidence {
    /// Of the median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<Range>,
    /// Of the 90th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<Range>,
    /// Of the 95th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95: Option<Range>,
    /// Of the 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<Range>,
}

/// Two ends, in microseconds.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Range {
    /// The lower end.
    pub low: i64,
    /// The upper end; left out if it falls on images without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<i64>,
}

/// The parts of the service latency of the images that were answered with a label.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Stages {
    /// From an image's arrival at the classifier to the start of its batch.
    pub queue: Latency,
    /// How long its batch took to decode and classify.
    pub compute: Latency,
    /// From the actual send to Kafka's acknowledgement. It runs beside the image's way to the classifier, so it is a part
    /// of the rest, or even ends after the answer.
    pub acknowledgement: Latency,
    /// The service latency less queue and compute: Kafka and the network, there and back.
    pub rest: Latency,
}

/// How a test goes. Of warm-up and measurement together.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// When it was so.
    pub time: MicroTime,
    /// Seconds until the last image is sent.
    pub seconds_left: i64,
    /// The 95th percentile of the latency over the last few seconds, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_micros: Option<i64>,
    /// Answers a second over the last few seconds, such as `99.8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
}

/// What a Pipeline must not change while it is measured.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct PipelineAtStart {
    /// The revision in its status.
    pub revision: String,
    /// Its running pods by name: the UID of each, a slash, and how often its containers had been restarted.
    pub pods: BTreeMap<String, String>,
}

/// What should be known of a result that is valid.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// `Unstable`: images still piled up at the end, so that the percentiles depend on how long was measured. `Shared`:
    /// the Pipeline had other images to classify, or shared a node with the producers. `DocumentsLeft`: what was to be
    /// deleted from the database is still there. `NodeLost`: a producer of another test was on a node that does not answer,
    /// and was counted as gone. `HistogramsNotKept`: the ConfigMap with the histograms of seconds could not be made.
    /// `NotCounted`: Kafka did not say how many images the topic got.
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
    /// The length of an interval: 1 s, or more in a measurement of more than ten minutes.
    pub interval_seconds: i64,
}

/// Images a second, as decimal numbers such as `99.8`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// What the spec asks for; a closed load has no target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What was sent.
    pub offered: String,
    /// What was answered.
    pub achieved: String,
}

/// What the numbers were measured with.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Environment {
    /// Container images: of the producers, and of the Pipeline's parts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    /// The model that the Pipeline's check was answered by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelStatus>,
    /// The node of each producer, in the order of the producers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub producer_nodes: Vec<String>,
    /// Requests and limits that the pods really had: of a producer, and of the Pipeline's parts, such as
    /// `cpu 250m, memory 128Mi..512Mi`; different ones are separated by semicolons. A container that something else has
    /// added, such as a mesh, is there as `producer/istio-proxy`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, String>,
    /// Annotations of the pods that say something about the measurement, by part: what a LimitRange has changed, and whether
    /// a mesh carries the traffic.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, BTreeMap<String, String>>,
    /// Nodes on which both producers and pods of the Pipeline ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared_nodes: Vec<String>,
    /// The Kafka client settings of the producers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub client_settings: BTreeMap<String, String>,
}

/// The texts of the columns.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Display {
    /// Such as `open 20/s`, `poisson 20/s`, `closed`, or `closed 4, think 100ms`; the rate is that of each producer.
    pub load: String,
    /// Such as `2.1ms`, or `>30s` if it falls on images that were not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<String>,
    /// See p50. While the test runs, p95 is that of the last few seconds, such as `~2.1ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<String>,
    /// See p50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95: Option<String>,
    /// See p50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<String>,
    /// How many SLOs were met, of all: `2/3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slo: Option<String>,
}
