//! `LoadTest`: one measurement of a Pipeline with a fixed number of producers.

mod baseline;
mod dataset;
mod load;
mod slo;
mod status;

pub use baseline::BaselineRef;
pub use dataset::{Dataset, DatasetSource, DatasetVolume, Encoding};
pub use load::{ClosedLoad, Load, OpenLoad};
pub use slo::Slo;
pub use status::{Display, Documents, Histograms, LoadTestStatus, Phase, PipelineAtStart, Progress};
pub use tailrace_measure::{
    accounting::{Counts, Stages},
    confidence::{Comparison, RegressionVerdict},
    environment::Environment,
    load::Arrivals,
    result::{Rate, TestResult},
    slo::{Metric, SloResult},
    summary::Summary,
    warning::Warning,
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

/// One measurement: producers send images through a Pipeline for a given time; the status has the latency percentiles.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "tailrace.dev",
    version = "v1alpha1",
    kind = "LoadTest",
    doc = "One measurement of a Pipeline: producers send images for a given time, and the status has the latency percentiles.",
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
    validation = Rule::new("!oldSelf.abort || self.abort").message("an abort cannot be undone: create a new LoadTest"),
    validation = Rule::new("!has(self.slos) || !has(self.load.closed) || self.slos.all(slo, slo.metric != 'AchievedRatePercent')")
        .message("a closed load has no rate that could be achieved: leave AchievedRatePercent out, or write an open load")
)]
#[serde(rename_all = "camelCase")]
pub struct LoadTestSpec {
    /// The Pipeline to measure, in the same namespace. It does not have to exist yet: the LoadTest waits for it.
    pub pipeline_ref: PipelineRef,
    /// The number of producers, from 1 to 100. They send at the same time, each in a separate Job. Defaults to 1.
    #[serde(default = "one_producer")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 100").message("write a number of producers from 1 to 100"))]
    pub producers: i32,
    /// When images are sent. Exactly one of `open` and `closed` must be set.
    pub load: Load,
    /// How long images are sent before the measurement, a duration of at most 24h. These images are counted separately.
    /// Defaults to 10s; 0s disables the warm-up.
    #[serde(default = "ten_seconds")]
    #[x_kube(validation = duration::at_most("24h", "the warm-up is too long: write a duration of at most 24h"))]
    pub warmup: Duration,
    /// How long images are sent and measured, a duration from 1s to 24h. Defaults to 60s.
    #[serde(default = "one_minute")]
    #[x_kube(validation = duration::between("1s", "24h", "the measurement is too short or too long: write a duration from 1s to 24h"))]
    pub duration: Duration,
    /// How long to wait for answers after the last image was sent, a duration from 1s to 10m. Images without an answer by
    /// then count as lost. Defaults to 30s.
    #[serde(default = "half_a_minute")]
    #[x_kube(validation = duration::between("1s", "10m", "the drain time is too short or too long: write a duration from 1s to 10m"))]
    pub drain_timeout: Duration,
    /// How long to wait until the Pipeline exists and is Ready, a duration of at most 24h. Time spent in the queue behind
    /// other LoadTests does not count. The LoadTest fails afterwards. Defaults to 10m.
    #[serde(default = "ten_minutes")]
    #[x_kube(validation = duration::at_most("24h", "the start timeout is too long: write a duration of at most 24h"))]
    pub start_timeout: Duration,
    /// How long to wait until all producers are ready, a duration of at most 24h. The LoadTest fails afterwards. Defaults to
    /// 5m.
    #[serde(default = "five_minutes")]
    #[x_kube(validation = duration::at_most("24h", "the ready timeout is too long: write a duration of at most 24h"))]
    pub ready_timeout: Duration,
    /// The images that are sent. Defaults to the test images of CIFAR-10.
    #[serde(default)]
    pub dataset: Dataset,
    /// Service level objectives, at most 20: the LoadTest fails if its result misses one of them, although the numbers are
    /// valid. Defaults to none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub slos: Vec<Slo>,
    /// An earlier LoadTest to compare the result with. If it is still running, this LoadTest waits for it; if it has no valid
    /// result, this LoadTest fails immediately. Without it no comparison is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_ref: Option<BaselineRef>,
    /// Writes one CSV line per message to the end of each producer's log, compressed with Zstandard and encoded in base64;
    /// `kubectl tailrace report` reads it. The pods are then kept until the LoadTest is deleted. A log has room for about
    /// 250,000 messages of each producer, warm-up included; later messages are left out, and the log says so. Defaults to
    /// false.
    #[serde(default)]
    pub raw_log: bool,
    /// Whether the images and answers that this LoadTest wrote to the database are kept. With `false` they are deleted when
    /// the LoadTest has finished, before the next one starts; `status.documents` says whether that succeeded. Defaults to
    /// true, and to false in the template of an Experiment.
    #[serde(default = "yes")]
    pub keep_documents: bool,
    /// Prevents the LoadTest from starting; other LoadTests are started before it. While the producers are still starting,
    /// setting it deletes them and releases the Pipeline. It has no effect once the producers have started to send. Defaults
    /// to false.
    #[serde(default)]
    pub suspend: bool,
    /// Ends the LoadTest early: producers stop sending and wait for the outstanding answers, and the status has the result
    /// up to then, in the phase Aborted. It cannot be undone. Defaults to false.
    #[serde(default)]
    pub abort: bool,
    /// The number of seconds after which a finished LoadTest is deleted, together with everything that belongs to it, from
    /// 0 to 31536000 (one year). Without it the LoadTest is never deleted automatically.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 31536000").message("write a number of seconds from 0 to 31536000, which is a year"))]
    pub ttl_seconds_after_finished: Option<i32>,
    /// Describes the producers' pods. Resources default to requests of 100m CPU and 128Mi of memory and a memory limit of
    /// 512Mi, without a CPU limit. A CPU limit can throttle a producer, which then sends late: this is measured as send
    /// delay and can make the result invalid.
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
