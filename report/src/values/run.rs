use std::time::Duration;

use jiff::Timestamp;
use tailrace_measure::{intervals::Intervals, judgement::Verdict, load::Load, result::TestResult};

use crate::{numbers::duration, raw_log::Message};

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
    /// The length of the measurement as it was planned.
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
    /// What was measured, judged and compared, with its environment.
    pub result: TestResult,
    /// The measurement second by second, where that was kept.
    pub intervals: Option<Intervals>,
    /// Each message, where that was kept.
    pub raw_log: Vec<Message>,
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

impl Run {
    /// How long was measured, which is less than planned where the test was ended early; none if nothing was.
    pub fn measured(&self) -> Option<Duration> {
        let result = &self.result;
        // What an older version has measured it has measured to the end.
        let planned = result.latency_micros.map(|_| self.duration);
        // The digits below a millisecond say nothing.
        let measured = result.measured_micros.map(|micros| Duration::from_millis(micros / 1_000)).or(planned);
        measured.filter(|measured| !measured.is_zero())
    }

    /// The same for people.
    pub fn measured_in_words(&self) -> String {
        let after = format!("after a warm-up of {}", duration(self.warmup));
        match self.measured() {
            Some(measured) if measured == self.duration => format!("{} {after}", duration(measured)),
            Some(measured) => format!("{} of {} {after}", duration(measured), duration(self.duration)),
            None => "nothing".to_owned(),
        }
    }

    /// How many images were to have an answer: percentiles are over these.
    pub fn scheduled(&self) -> u64 {
        self.result.messages.map_or(0, |messages| messages.scheduled)
    }

    /// The latencies of all images in microseconds, ascending, and how many there are of each; none if they were not
    /// kept.
    pub fn latencies(&self) -> Option<Vec<(u64, u64)>> {
        let mut sum = tailrace_measure::intervals::Buckets::default();
        self.intervals.as_ref()?.list().iter().for_each(|interval| sum += &interval.latency);
        let buckets: Vec<_> = sum.iter().collect();
        (!buckets.is_empty()).then_some(buckets)
    }
}
