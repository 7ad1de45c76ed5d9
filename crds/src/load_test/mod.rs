//! `LoadTest`: one measurement of a Pipeline with a fixed number of producers.

mod baseline;
mod dataset;
mod load;
mod slo;
mod status;

pub use baseline::{BaselineRef, Comparison, Difference, DifferencePercent, MetricComparison, RegressionVerdict};
pub use dataset::{Dataset, DatasetSource, DatasetVolume, Encoding};
pub use load::{Arrivals, ClosedLoad, Load, OpenLoad};
pub use slo::{Metric, Slo, SloResult};
pub use status::{
    Confidence, Display, Documents, Environment, Histograms, Latency, LoadTestStatus, Messages, Phase, PipelineAtStart,
    Progress, Range, Rate, Stages, Warning,
};

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{
    duration::{self, Duration},
    pod_template::PodTemplate,
    rules,
};

/// The annotation of a finished LoadTest whose Experiment has deleted parts of it.
pub const PRUNED_ANNOTATION: &str = "tailrace.dev/pruned";
/// Its value when the ProducerReports are gone.
pub const PRUNED_REPORTS: &str = "reports";
/// Its value when the ConfigMap with the histograms is gone, too.
pub const PRUNED_HISTOGRAMS: &str = "reports-and-histograms";

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
    validation = Rule::new("!has(self.spec.baselineRef) || self.spec.baselineRef.name != self.metadata.name")
        .message("a LoadTest cannot be its own baseline: write the name of another one"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Load", type_ = "string", json_path = ".status.display.load"),
    printcolumn(name = "Producers", type_ = "integer", json_path = ".spec.producers"),
    printcolumn(name = "P50", type_ = "string", json_path = ".status.display.p50"),
    printcolumn(name = "P90", type_ = "string", json_path = ".status.display.p90"),
    printcolumn(name = "P95", type_ = "string", json_path = ".status.display.p95"),
    printcolumn(name = "Lost", type_ = "integer", json_path = ".status.messages.lost"),
    printcolumn(name = "SLO", type_ = "string", json_path = ".status.display.slo"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "P99", type_ = "string", json_path = ".status.display.p99", priority = 1),
    printcolumn(name = "Rate", type_ = "string", json_path = ".status.rate.achieved", priority = 1),
    printcolumn(name = "Accuracy", type_ = "string", json_path = ".status.accuracyPercent", priority = 1),
    printcolumn(name = "Valid", type_ = "string", json_path = ".status.conditions[?(@.type==\"ResultsValid\")].status", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[x_kube(
    validation = Rule::new(IMMUTABLE)
        .message("only suspend, abort and ttlSecondsAfterFinished of a LoadTest can be changed, since its numbers would no longer say what was measured: create a new LoadTest"),
    validation = Rule::new("!oldSelf.abort || self.abort").message("an abort cannot be taken back: create a new LoadTest"),
    validation = Rule::new("!has(self.slos) || !has(self.load.closed) || self.slos.all(slo, slo.metric != 'AchievedRatePercent')")
        .message("a closed load has no rate that could be achieved: leave AchievedRatePercent out, or write an open load")
)]
#[serde(rename_all = "camelCase")]
pub struct LoadTestSpec {
    /// The Pipeline, in the same namespace. It need not exist yet.
    pub pipeline_ref: PipelineRef,
    /// How many producers send at once, from 1 to 100. Each is a Job of its own. By default 1.
    #[serde(default = "one_producer")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 100").message("write a number of producers from 1 to 100"))]
    pub producers: i32,
    /// When images are sent. Exactly one of `open` and `closed`.
    pub load: Load,
    /// Load before the measurement, at most 24h; these images are counted apart. By default 10s; 0s is none.
    #[serde(default = "ten_seconds")]
    #[x_kube(validation = duration::at_most("24h", "the warm-up is too long: write a duration of at most 24h"))]
    pub warmup: Duration,
    /// The length of the measurement, from 1s to 24h. By default 60s.
    #[serde(default = "one_minute")]
    #[x_kube(validation = duration::between("1s", "24h", "the measurement is too short or too long: write a duration from 1s to 24h"))]
    pub duration: Duration,
    /// How long answers are waited for after the last image; what has not come by then is lost. From 1s to 10m; by default 30s.
    #[serde(default = "half_a_minute")]
    #[x_kube(validation = duration::between("1s", "10m", "the drain time is too short or too long: write a duration from 1s to 10m"))]
    pub drain_timeout: Duration,
    /// How long the Pipeline may take to exist and be Ready; time in the queue behind other LoadTests is not counted.
    /// At most 24h; by default 10m.
    #[serde(default = "ten_minutes")]
    #[x_kube(validation = duration::at_most("24h", "the start timeout is too long: write a duration of at most 24h"))]
    pub start_timeout: Duration,
    /// How long the producers may take to be ready. At most 24h; by default 5m.
    #[serde(default = "five_minutes")]
    #[x_kube(validation = duration::at_most("24h", "the ready timeout is too long: write a duration of at most 24h"))]
    pub ready_timeout: Duration,
    /// The images that are sent.
    #[serde(default)]
    pub dataset: Dataset,
    /// What the result has to keep: a test that misses one of these has failed, though its numbers are valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub slos: Vec<Slo>,
    /// Another LoadTest that this one is compared with. It is waited for until it has finished; one without a valid result
    /// fails this test at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_ref: Option<BaselineRef>,
    /// Keeps a line for each message at the end of the log of each producer's pod, as CSV, compressed with Zstandard and
    /// written in base64; `kubectl tailrace report` reads it. The pods are then kept as long as the LoadTest. About
    /// 250,000 messages a producer have room, warm-up included; what comes after these is not there, and the log says so.
    #[serde(default)]
    pub raw_log: bool,
    /// Whether the images and answers that this test has put into the database stay there. `false` deletes them once the
    /// test is over, before another one gets the Pipeline; `status.documents` says whether that succeeded. By default
    /// true; in the template of an Experiment false.
    #[serde(default = "yes")]
    pub keep_documents: bool,
    /// Keeps a test from starting; others go before it. Until the common start is published it also stops a start that is
    /// under way: the producers are removed and the Pipeline is given back. Later it does nothing.
    #[serde(default)]
    pub suspend: bool,
    /// Ends the test, now: no further image is sent, answers are waited for, and what was measured until then is the
    /// result, in the phase Aborted. It cannot be taken back.
    #[serde(default)]
    pub abort: bool,
    /// The LoadTest and all that belongs to it are deleted so many seconds after it has finished; by default never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 31536000").message("write a number of seconds from 0 to 31536000, which is a year"))]
    pub ttl_seconds_after_finished: Option<i32>,
    /// What the pods of the producers have. Without resources: requests of 100m CPU and 128Mi, a memory limit of 512Mi, no
    /// CPU limit. A CPU limit may throttle a producer, which then sends late: that is measured as send delay and can make
    /// the result invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

/// All fields but those that may be changed.
const IMMUTABLE: &str = "self.pipelineRef == oldSelf.pipelineRef && self.producers == oldSelf.producers \
    && self.load == oldSelf.load && self.warmup == oldSelf.warmup && self.duration == oldSelf.duration \
    && self.drainTimeout == oldSelf.drainTimeout && self.startTimeout == oldSelf.startTimeout \
    && self.readyTimeout == oldSelf.readyTimeout && self.dataset == oldSelf.dataset && self.rawLog == oldSelf.rawLog \
    && self.keepDocuments == oldSelf.keepDocuments \
    && has(self.slos) == has(oldSelf.slos) && (!has(self.slos) || self.slos == oldSelf.slos) \
    && has(self.baselineRef) == has(oldSelf.baselineRef) \
    && (!has(self.baselineRef) || self.baselineRef == oldSelf.baselineRef) \
    && has(self.podTemplate) == has(oldSelf.podTemplate) \
    && (!has(self.podTemplate) || self.podTemplate == oldSelf.podTemplate)";

fn yes() -> bool {
    true
}

fn one_producer() -> i32 {
    1
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

impl LoadTest {
    /// Whether its Experiment has deleted its histograms.
    pub fn lost_its_histograms(&self) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        annotations.and_then(|all| all.get(PRUNED_ANNOTATION)).is_some_and(|what| what == PRUNED_HISTOGRAMS)
    }
}

/// A Pipeline in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PipelineRef {
    /// The name of the Pipeline.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = rules::name_of_pipeline())]
    pub name: String,
}
