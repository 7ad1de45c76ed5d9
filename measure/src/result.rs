//! All numbers of a LoadTest. The status in the cluster embeds them, and so does what is shown of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    accounting::{Backlog, Counts, Stages, Tally},
    confidence::{self, Comparison, Confidence},
    display,
    environment::Environment,
    load::Load,
    signed,
    slo::SloResult,
    sum::Sum,
    summary::Summary,
    warning::{self, Warning},
};

/// What was measured, how it was judged and in which environment. Of a LoadTest that runs there are the counts alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// The images of the measurement; while the LoadTest runs, all images so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Counts>,
    /// The images of the warm-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_messages: Option<Counts>,
    /// The length of the measurement in microseconds: that of the spec, or less if the LoadTest was aborted; absent if
    /// nothing was measured.
    #[schemars(range(min = 0))]
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub measured_micros: Option<u64>,
    /// What was left to do at the end of the measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backlog: Option<Backlog>,
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
    /// The share of images without a label, in percent of those scheduled, such as `0.0`: lost, answered with an error, or
    /// not sent at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswered_percent: Option<String>,
    /// Whether each SLO was met, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slos: Vec<SloResult>,
    /// The comparison with the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Warnings, which do not make the result invalid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// The environment in which the result was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}

/// Images per second, as decimal numbers such as `99.8`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// The rate in the spec; absent for a closed load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The rate at which images were sent.
    pub offered: String,
    /// The rate at which images were answered until the end of the measurement, so without the answers of the drain time.
    pub achieved: String,
}

impl TestResult {
    /// The environment, of which nothing may be known.
    pub fn environment(&self) -> Environment {
        self.environment.clone().unwrap_or_default()
    }

    /// What so many producers with this load have measured together, and what the numbers warn of.
    pub fn of(sum: &Sum, load: &Load, producers: u32) -> Self {
        let Tally { counts, backlog, correct, compared, send_delay, stages, .. } = &sum.tally;
        Self {
            messages: Some(*counts),
            warmup_messages: Some(sum.warmup),
            measured_micros: u64::try_from(sum.measured.as_micros()).ok(),
            backlog: Some(*backlog),
            latency_micros: Some(sum.latency()),
            confidence_micros: confidence::confidence(&sum.intervals),
            service_latency_micros: Some(sum.service_latency()),
            send_delay_micros: Some(Summary::of_values(send_delay)),
            stages_micros: Some(stages.summaries()),
            rate: Some(Rate {
                target: load.images_per_second(producers).map(|wanted| format!("{wanted}.0")),
                offered: display::rate(counts.sent, sum.measured),
                achieved: display::rate(counts.answered_in_time(), sum.measured),
            }),
            start_skew_micros: Some(sum.start_skew_micros()),
            accuracy_percent: display::percent(*correct, *compared),
            unanswered_percent: display::percent(counts.unanswered(), counts.scheduled),
            warnings: warning::warnings(sum),
            ..Self::default()
        }
    }
}
