//! `LoadTest`: one measurement of a Pipeline with a fixed number of producers.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{duration::Duration, pipeline::ModelStatus};

/// One measurement: so many producers send images through a Pipeline for so long; the status holds the percentiles of the latency.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "tailrace.dev",
    version = "v1alpha1",
    kind = "LoadTest",
    doc = "One measurement of a Pipeline: producers send images for a while, the status holds the percentiles of the latency.",
    namespaced,
    status = "LoadTestStatus",
    shortname = "trl",
    category = "tailrace",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.size() <= 48")
        .message("the name of a LoadTest has at most 48 characters, since its Jobs are named after it: choose a shorter one"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Load", type_ = "string", json_path = ".status.display.load"),
    printcolumn(name = "Producers", type_ = "integer", json_path = ".spec.producers"),
    printcolumn(name = "P50", type_ = "string", json_path = ".status.display.p50"),
    printcolumn(name = "P90", type_ = "string", json_path = ".status.display.p90"),
    printcolumn(name = "P95", type_ = "string", json_path = ".status.display.p95"),
    printcolumn(name = "Lost", type_ = "integer", json_path = ".status.messages.lost"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "P99", type_ = "string", json_path = ".status.display.p99", priority = 1),
    printcolumn(name = "Rate", type_ = "string", json_path = ".status.rate.achieved", priority = 1),
    printcolumn(name = "Accuracy", type_ = "string", json_path = ".status.accuracyPercent", priority = 1),
    printcolumn(name = "Valid", type_ = "string", json_path = ".status.conditions[?(@.type==\"ResultsValid\")].status", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("the spec of a LoadTest cannot be changed, since its numbers would no longer say what was measured: create a new LoadTest"))]
#[serde(rename_all = "camelCase")]
pub struct LoadTestSpec {
    /// The Pipeline, in the same namespace. It need not exist yet.
    pub pipeline_ref: PipelineRef,
    /// How many producers send at once, from 1 to 100. Each is a Job of its own.
    #[x_kube(validation = Rule::new("self >= 1 && self <= 100").message("write a number of producers from 1 to 100"))]
    pub producers: i32,
    /// When images are sent. Exactly one of `open` and `closed`.
    pub load: Load,
    /// Load before the measurement, at most 24h; these images are counted apart. By default 10s; 0s is none.
    #[serde(default = "ten_seconds")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || duration(self) <= duration('24h')")
        .message("the warm-up is too long: write a duration of at most 24h"))]
    pub warmup: Duration,
    /// The length of the measurement, from 1s to 24h. By default 60s.
    #[serde(default = "one_minute")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || (duration(self) >= duration('1s') && duration(self) <= duration('24h'))")
        .message("the measurement is too short or too long: write a duration from 1s to 24h"))]
    pub duration: Duration,
    /// How long answers are waited for after the last image; what has not come by then is lost. From 1s to 10m; by default 30s.
    #[serde(default = "half_a_minute")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || (duration(self) >= duration('1s') && duration(self) <= duration('10m'))")
        .message("the drain time is too short or too long: write a duration from 1s to 10m"))]
    pub drain_timeout: Duration,
    /// How long the Pipeline may take to exist and be Ready; time in the queue behind other LoadTests is not counted.
    /// At most 24h; by default 10m.
    #[serde(default = "ten_minutes")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || duration(self) <= duration('24h')")
        .message("the start timeout is too long: write a duration of at most 24h"))]
    pub start_timeout: Duration,
    /// How long the producers may take to be ready. At most 24h; by default 5m.
    #[serde(default = "five_minutes")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || duration(self) <= duration('24h')")
        .message("the ready timeout is too long: write a duration of at most 24h"))]
    pub ready_timeout: Duration,
    /// The images that are sent.
    #[serde(default)]
    pub dataset: Dataset,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

fn one_minute() -> Duration {
    Duration::from_secs(60)
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

/// A Pipeline in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PipelineRef {
    /// The name of the Pipeline.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Exactly one of `open` and `closed`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("has(self.open) != has(self.closed)")
    .message("exactly one of open and closed is wanted: open sends on a schedule, closed sends the next image when the answer to the last one has come"))]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Images are sent on a schedule that does not wait for the Pipeline, as cameras do. Latency counts from the scheduled time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenLoad>,
    /// Each producer has one image outstanding and sends the next one when the answer is there.
    /// Such a load slows down with the Pipeline and so hides waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedLoad>,
}

/// A constant rate.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OpenLoad {
    /// Images a second of each producer, from 1 to 10000.
    #[x_kube(validation = Rule::new("self >= 1 && self <= 10000").message("write a rate from 1 to 10000 images a second for each producer"))]
    pub rate_per_producer: i32,
}

/// One image outstanding a producer.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClosedLoad {}

/// The images that are sent.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Dataset {
    /// `Cifar10Test`: the 10,000 test images of CIFAR-10, each as a PNG of 32 x 32 pixels.
    #[serde(default)]
    pub source: DatasetSource,
    /// The seed of the order in which the images are sent: the same seed, the same order.
    #[serde(default = "seed")]
    #[x_kube(validation = Rule::new("self >= 0").message("write a seed of 0 or more"))]
    pub seed: i64,
}

fn seed() -> i64 {
    42
}

impl Default for Dataset {
    fn default() -> Self {
        Self { source: DatasetSource::default(), seed: seed() }
    }
}

/// Where the images come from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DatasetSource {
    /// The test set of CIFAR-10.
    #[default]
    Cifar10Test,
}

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
    /// Finished, with a valid result.
    Succeeded,
    /// Finished without a valid result; the conditions say why.
    Failed,
}

impl Phase {
    /// Whether nothing changes any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// What was measured. The common start and the end are written once, even if two operators should think that they lead.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(
    validation = Rule::new("!has(oldSelf.startTime) || (has(self.startTime) && self.startTime == oldSelf.startTime)")
        .message("the common start of the producers is written once"),
    validation = Rule::new("!has(oldSelf.completionTime) || self == oldSelf")
        .message("the status of a finished LoadTest is not changed any more")
)]
#[serde(rename_all = "camelCase")]
pub struct LoadTestStatus {
    /// The generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the test is on its way.
    #[serde(default)]
    pub phase: Phase,
    /// Accepted, Finished, Succeeded, ResultsValid, Reconciling, Stalled.
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
    /// While the test runs: when `messages` was brought up to date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_time: Option<MicroTime>,
    /// The images of the warm-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_messages: Option<Messages>,
    /// From the intended send to the answer, in microseconds: the latency of this test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_micros: Option<Latency>,
    /// From the actual send to the answer, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_latency_micros: Option<Latency>,
    /// From the intended to the actual send, in microseconds: how late the producers themselves were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_delay_micros: Option<Latency>,
    /// Images a second, of all producers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Between the first and the last producer's start, in microseconds, by their hosts' clocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_skew_micros: Option<i64>,
    /// The share of answers with the right label, in percent, such as `91.7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_percent: Option<String>,
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
    /// `closed` or `open 20/s`.
    pub load: String,
    /// Such as `2.1ms`, or `>30s` if it falls on images that were not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<String>,
    /// See p50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<String>,
    /// See p50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95: Option<String>,
    /// See p50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<String>,
}
