//! `Experiment`: LoadTests made one after another, for a sweep over points or for the highest rate that keeps the SLOs.

mod max_rate;
mod status;
mod sweep;
mod template;

pub use max_rate::MaxRate;
pub use status::{Best, Display, ExperimentStatus, MaxRateResult, Outcome, Phase, Point, Repeated, Run, Spreads};
pub use sweep::{Order, Sweep};
pub use tailrace_measure::{repetitions::Spread, summary::Percentiles};

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{
    duration::{self, Duration},
    load_test::LoadTestSpec,
};

/// The annotation by which an Experiment is run again: any new value begins a new round.
pub const RERUN_ANNOTATION: &str = "tailrace.dev/rerun";

/// LoadTests created one after another from one template: a sweep over producers or rates with repetitions, or a search for
/// the highest rate that meets the SLOs.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "tailrace.dev",
    version = "v1alpha1",
    kind = "Experiment",
    doc = "LoadTests created one after another: a sweep over producers or rates, or a search for the highest rate that meets the SLOs. They are deleted together with the Experiment. The annotation tailrace.dev/rerun runs it again: each new value (of its first 253 characters) starts a new round, for which the LoadTests of the previous round are deleted.",
    namespaced,
    status = "ExperimentStatus",
    shortname = "tre",
    category = "tailrace",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.size() <= 32")
        .message("the name of an Experiment has at most 32 characters, since its LoadTests and their Jobs are named after it: choose a shorter one"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Done", type_ = "string", json_path = ".status.display.done"),
    printcolumn(name = "Best", type_ = "string", json_path = ".status.display.best"),
    printcolumn(name = "P95", type_ = "string", json_path = ".status.display.p95"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("has(self.sweep) != has(self.maxRate)")
        .message("exactly one of sweep and maxRate must be set: sweep measures the points of a list, maxRate searches for the highest rate that meets the SLOs"),
    validation = Rule::new("!has(self.sweep) || !has(self.sweep.ratesPerProducer) || has(self.template.load.open)")
        .message("a closed load has no rate: sweep over producers, or write template.load.open"),
    validation = Rule::new("!has(self.maxRate) || has(self.template.load.open)")
        .message("a closed load has no rate to search for: write template.load.open"),
    validation = Rule::new("!has(self.maxRate) || (has(self.template.slos) && size(self.template.slos) > 0)")
        .message("maxRate searches for the highest rate that meets the SLOs: write at least one into template.slos, such as {metric: P95, max: 50ms}"),
    validation = Rule::new("!has(self.maxRate) || self.maxRate.to <= 10000 * self.template.producers")
        .message("a producer sends at most 10000 images a second: write a lower maxRate.to, or more template.producers"),
    validation = Rule::new("!has(self.maxRate) || (self.maxRate.from + self.template.producers - 1) / self.template.producers <= self.maxRate.to / self.template.producers")
        .message("all producers send at the same rate, and no such rate lies between maxRate.from and maxRate.to: write a lower from or a higher to"),
    validation = Rule::new("has(self.sweep) == has(oldSelf.sweep) && (!has(self.sweep) || self.sweep == oldSelf.sweep) && (!has(self.maxRate) || self.maxRate == oldSelf.maxRate) && self.coolDown == oldSelf.coolDown && self.template == oldSelf.template")
        .message("the spec of an Experiment cannot be changed, except suspend, abort and the history limits: create a new Experiment, or annotate this one with tailrace.dev/rerun to run it again")
)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentSpec {
    /// Measures every point of a list. Exactly one of `sweep` and `maxRate` must be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
    /// Searches for the highest rate that meets the SLOs of the template. Exactly one of `sweep` and `maxRate` must be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<MaxRate>,
    /// How long to wait between the end of one LoadTest and the creation of the next, a duration of at most 24h. Defaults to
    /// 10s.
    #[serde(default = "ten_seconds")]
    #[x_kube(validation = duration::at_most("24h", "the cool-down is too long: write a duration of at most 24h"))]
    pub cool_down: Duration,
    /// Creates no further LoadTests while it is true; a LoadTest that is running continues. Can be changed at any time.
    /// Defaults to false.
    #[serde(default)]
    pub suspend: bool,
    /// Aborts the LoadTest that is running and creates no further one: the Experiment ends in the phase Aborted, with the
    /// results so far. It can be set at any time, but an aborted Experiment only continues in a new round. Defaults to false.
    #[serde(default)]
    pub abort: bool,
    /// The number of succeeded LoadTests of the round to keep, from 0 to 200. Older ones are deleted together with everything
    /// that belongs to them; their numbers stay in the status. Can be changed at any time. Defaults to 50.
    #[serde(default = "fifty")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 200").message("write a number of LoadTests from 0 to 200"))]
    pub successful_tests_history_limit: i32,
    /// The number of LoadTests of the round that did not succeed to keep, from 0 to 200. Can be changed at any time. Defaults
    /// to 20.
    #[serde(default = "twenty")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 200").message("write a number of LoadTests from 0 to 200"))]
    pub failed_tests_history_limit: i32,
    /// The number of LoadTests that keep their histograms, the newest ones, from 0 to 200. Of older LoadTests the ConfigMap
    /// `NAME-histograms`, by far their largest part, is deleted; they can then no longer be a baseline. Can be changed at any
    /// time. Defaults to 20.
    #[serde(default = "twenty")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 200").message("write a number of LoadTests from 0 to 200"))]
    pub histograms_history_limit: i32,
    /// The spec of each LoadTest. A sweep over producers replaces `producers`; a sweep over rates and maxRate replace
    /// `load.open.ratePerProducer`.
    #[schemars(schema_with = "template::schema")]
    pub template: LoadTestSpec,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn fifty() -> i32 {
    50
}

fn twenty() -> i32 {
    20
}
