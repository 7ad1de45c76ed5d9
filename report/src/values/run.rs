use std::time::Duration;

use jiff::Timestamp;
use tailrace_measure::{
    accounting::{Counts, Stages},
    confidence::Confidence,
    intervals::Intervals,
    summary::Summary,
};

use super::{Comparison, Environment, Load, Objective};
use crate::raw_log::Message;

/// One LoadTest that is over.
#[derive(Clone, Debug)]
pub struct Run {
    /// The name of the LoadTest.
    pub name: String,
    /// Where it lives, where there are namespaces.
    pub namespace: Option<String>,
    /// What was measured.
    pub pipeline: String,
    /// The load of one producer.
    pub load: Load,
    /// How many producers sent at once.
    pub producers: u32,
    /// The images that were sent, in words: where they are from, their encoding, and the seed of their order.
    pub dataset: String,
    /// Load before the measurement.
    pub warmup: Duration,
    /// The length of the measurement.
    pub duration: Duration,
    /// How long answers were waited for after the last image; what came later is lost.
    pub drain_timeout: Duration,
    /// The common start of the producers, of the warm-up if there was one.
    pub started: Option<Timestamp>,
    /// The end of everything.
    pub finished: Option<Timestamp>,
    /// What came of it.
    pub verdict: Verdict,
    /// The verdict in one sentence.
    pub message: String,
    /// Whether the numbers mean what they say.
    pub validity: Validity,
    /// What became of the images of the measurement.
    pub messages: Option<Counts>,
    /// Images a second.
    pub rate: Option<Rate>,
    /// From the intended send to the answer, in microseconds.
    pub latency: Option<Summary>,
    /// From the actual send to the answer, in microseconds.
    pub service_latency: Option<Summary>,
    /// From the intended to the actual send, in microseconds.
    pub send_delay: Option<Summary>,
    /// Of the latency; an interval that could not be had is none.
    pub confidence: Confidence,
    /// Where the time went.
    pub stages: Option<Stages<Summary>>,
    /// Between the first and the last producer's start, in microseconds.
    pub start_skew_micros: Option<i64>,
    /// The share of right labels.
    pub accuracy_percent: Option<f64>,
    /// What had to be kept.
    pub objectives: Vec<Objective>,
    /// The difference to an earlier measurement.
    pub comparison: Option<Comparison>,
    /// What should be known before the numbers are used.
    pub warnings: Vec<Warning>,
    /// What it was measured with.
    pub environment: Environment,
    /// The measurement second by second, where that was kept.
    pub intervals: Option<Intervals>,
    /// Each message, where that was kept.
    pub raw_log: Vec<Message>,
}

/// What came of a LoadTest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It finished, is valid and keeps its SLOs.
    Succeeded,
    /// It is valid, and misses an SLO or is slower than its baseline by more than is allowed.
    Missed,
    /// Its numbers do not mean what they say, or there are none.
    Invalid,
    /// It was ended early.
    Aborted,
}

impl Verdict {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Missed => "objective missed",
            Self::Invalid => "not valid",
            Self::Aborted => "aborted",
        }
    }

    /// What is said to the shell: 0 only if it succeeded, and never 1, which is said of errors.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::Invalid => 2,
            Self::Missed => 3,
            Self::Aborted => 4,
        }
    }
}

/// Whether numbers mean what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Whether they do.
    pub valid: bool,
    /// One word, such as `Valid` or `GeneratorSaturated`.
    pub reason: String,
    /// One sentence.
    pub message: String,
}

/// Images a second, of all producers together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// What was wanted; a closed load has no target.
    pub target: Option<f64>,
    /// What was sent.
    pub offered: f64,
    /// What was answered.
    pub achieved: f64,
}

/// What should be known before numbers are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// One word, such as `Unstable`.
    pub reason: String,
    /// One sentence.
    pub message: String,
}

impl Run {
    /// How many images were to have an answer: percentiles are over these.
    pub fn scheduled(&self) -> u64 {
        self.messages.map_or(0, |messages| messages.scheduled)
    }

    /// The latencies of all images in microseconds, ascending, and how many there are of each; none if they were not kept.
    pub fn latencies(&self) -> Option<Vec<(u64, u64)>> {
        let mut sum = tailrace_measure::intervals::Buckets::default();
        self.intervals.as_ref()?.list().iter().for_each(|interval| sum += &interval.latency);
        let buckets: Vec<_> = sum.iter().collect();
        (!buckets.is_empty()).then_some(buckets)
    }
}
