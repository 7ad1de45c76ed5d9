//! What one producer reports: the form in which its numbers travel to those who sum them.

use std::{collections::BTreeMap, time::Duration};

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::{
    accounting::{Backlog, Counts, Stages, Tally},
    histogram::{DecodeError, EncodeError, LatencyHistogram},
    intervals::{Buckets, Interval, Intervals, OtherIntervals},
    signed::{self, signed, unsigned},
    sum::Sum,
};

/// What the API server takes of one object is 1.5 MiB; this is for the histograms of seconds.
const MOST_INTERVAL_BYTES: usize = 600 << 10;

/// The final counts and histograms of one producer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProducerResult {
    /// The images of the measurement.
    pub messages: Counts,
    /// The images of the warm-up.
    pub warmup_messages: Counts,
    /// What was left to do at the end of the measurement.
    #[serde(default)]
    pub backlog: Backlog,
    /// Answers of the measurement with the correct label.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    #[serde(with = "signed::Count")]
    pub correct: u64,
    /// Answers of the measurement whose label was compared with the correct one.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    #[serde(with = "signed::Count")]
    pub compared: u64,
    /// The length of the measurement in microseconds: that of the spec, or less if the LoadTest was aborted.
    #[schemars(range(min = 0))]
    #[serde(with = "signed::Count")]
    pub measured_micros: u64,
    /// How much later than the common start the producer began, by the clock of its host, in microseconds.
    pub start_delay_micros: i64,
    /// From the intended send to the answer, in microseconds: HdrHistogram V2, DEFLATE, base64; 1 µs to 1 h, 3 digits.
    pub latency: String,
    /// From the actual send to the answer, in the same form.
    pub service_latency: String,
    /// From the intended to the actual send, in the same form.
    pub send_delay: String,
    /// The parts of the service latency, each in the same form.
    #[schemars(transform = described_as_texts)]
    pub stages: Stages<String>,
    /// The latencies by the second in which the image was due to be sent.
    pub intervals: ProducerIntervals,
    /// How long the producer's container was throttled by its CPU limit since the common start, in microseconds; absent if
    /// its control group does not report it.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub throttled_micros: Option<u64>,
    /// The number of records that were produced to the images topic, by all sources, while this producer was ready; absent
    /// if Kafka did not report it.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub topic_records: Option<u64>,
    /// The number of records that Kafka deleted in that time before the classifier or the db-consumer had read them; absent
    /// if Kafka did not report it.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub skipped_records: Option<u64>,
    /// The number of answers to images of this producer that came from other Pipelines on the same topics.
    #[serde(with = "signed::Count", default)]
    #[schemars(range(min = 0))]
    pub foreign_answers: u64,
    /// The Kafka client settings.
    pub client_settings: BTreeMap<String, String>,
}

/// The measurement of each second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProducerIntervals {
    /// The length of an interval in seconds.
    #[schemars(range(min = 1))]
    pub seconds: i64,
    /// Images scheduled in each interval.
    pub scheduled: Vec<i64>,
    /// Images answered in each interval.
    pub answered: Vec<i64>,
    /// The latencies of the images scheduled in each interval, in the form of the result's histograms; empty for none.
    pub latency: Vec<String>,
}

/// What a producer reports cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A histogram cannot be decoded.
    #[error(transparent)]
    Histogram(#[from] DecodeError),
    /// The producers have not measured the same seconds.
    #[error(transparent)]
    Intervals(#[from] OtherIntervals),
    /// The lists of a producer's intervals are not of one length.
    #[error("a producer reports {0} intervals with {1} counts and {2} histograms")]
    Lists(usize, usize, usize),
}

/// The sum over these producers.
///
/// # Errors
/// The first report that cannot be read.
pub fn sum(results: &[&ProducerResult]) -> Result<Sum, Unreadable> {
    let parts = results.iter().map(|result| result.decode()).collect::<Result<_, _>>()?;
    Ok(Sum::of(parts)?)
}

impl ProducerResult {
    /// The numbers of one producer, and what was set on its Kafka clients.
    ///
    /// # Errors
    /// Those of the compressor, which writes to memory.
    pub fn encode(part: &Sum, client_settings: BTreeMap<String, String>) -> Result<Self, EncodeError> {
        let Tally { counts, backlog, correct, compared, latency, service_latency, send_delay, stages, .. } =
            &part.tally;
        Ok(Self {
            messages: *counts,
            warmup_messages: part.warmup,
            backlog: *backlog,
            correct: *correct,
            compared: *compared,
            measured_micros: micros(part.measured),
            start_delay_micros: part.start_delays_micros.first().copied().unwrap_or_default(),
            latency: latency.encode()?,
            service_latency: service_latency.encode()?,
            send_delay: send_delay.encode()?,
            stages: stages.try_map(LatencyHistogram::encode)?,
            intervals: encode_intervals(part.intervals.clone())?,
            throttled_micros: part.throttled.map(micros),
            topic_records: part.topic_records,
            skipped_records: part.skipped_records,
            foreign_answers: part.foreign_answers,
            client_settings,
        })
    }

    /// The numbers again.
    ///
    /// # Errors
    /// A histogram cannot be decoded, or the lists of seconds are not of one length.
    pub fn decode(&self) -> Result<Sum, Unreadable> {
        Ok(Sum {
            warmup: self.warmup_messages,
            tally: self.tally()?,
            intervals: decode_intervals(&self.intervals)?,
            measured: Duration::from_micros(self.measured_micros),
            throttled: self.throttled_micros.map(Duration::from_micros),
            topic_records: self.topic_records,
            skipped_records: self.skipped_records,
            foreign_answers: self.foreign_answers,
            start_delays_micros: vec![self.start_delay_micros],
        })
    }

    /// Values above the histograms' range are known by the counts: there are fewer values than answers.
    fn tally(&self) -> Result<Tally, DecodeError> {
        Ok(Tally {
            counts: self.messages,
            backlog: self.backlog,
            correct: self.correct,
            compared: self.compared,
            latency: LatencyHistogram::decode(&self.latency)?,
            service_latency: LatencyHistogram::decode(&self.service_latency)?,
            send_delay: LatencyHistogram::decode(&self.send_delay)?,
            stages: self.stages.try_map(|text| LatencyHistogram::decode(text))?,
            above_range: 0,
        })
    }
}

/// The stages of a report, which are texts and not percentiles.
fn described_as_texts(stages: &mut Schema) {
    for (name, description) in [
        ("queue", "The time in the classifier's queue."),
        ("compute", "The time to decode and classify."),
        ("acknowledgement", "From the actual send to Kafka's acknowledgement."),
        ("rest", "The service latency minus queue and compute."),
    ] {
        if let Some(stage) = stages.pointer_mut(&format!("/properties/{name}")) {
            stage["description"] = description.into();
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// As fine as the report has room for.
fn encode_intervals(mut intervals: Intervals) -> Result<ProducerIntervals, EncodeError> {
    loop {
        let latency = intervals.list().iter().map(|interval| encode_buckets(&interval.latency));
        let latency = latency.collect::<Result<Vec<_>, _>>()?;
        if latency.len() < 2 || latency.iter().map(String::len).sum::<usize>() <= MOST_INTERVAL_BYTES {
            return Ok(ProducerIntervals {
                seconds: signed(intervals.length().as_secs()),
                scheduled: intervals.list().iter().map(|interval| signed(interval.scheduled)).collect(),
                answered: intervals.list().iter().map(|interval| signed(interval.answered)).collect(),
                latency,
            });
        }
        intervals.coarsen();
    }
}

fn encode_buckets(buckets: &Buckets) -> Result<String, EncodeError> {
    if buckets.count() == 0 { Ok(String::new()) } else { LatencyHistogram::from(buckets).encode() }
}

fn decode_intervals(reported: &ProducerIntervals) -> Result<Intervals, Unreadable> {
    let ProducerIntervals { seconds, scheduled, answered, latency } = reported;
    if scheduled.len() != answered.len() || scheduled.len() != latency.len() {
        return Err(Unreadable::Lists(scheduled.len(), answered.len(), latency.len()));
    }
    let counts = scheduled.iter().zip(answered).zip(latency);
    let list = counts.map(|((scheduled, answered), latency)| {
        let (scheduled, answered) = (unsigned(*scheduled), unsigned(*answered));
        let empty = latency.is_empty();
        let latency = if empty { Buckets::default() } else { Buckets::from(&LatencyHistogram::decode(latency)?) };
        Ok(Interval { scheduled, answered, latency })
    });
    Ok(Intervals::of(Duration::from_secs(unsigned(*seconds)), list.collect::<Result<_, DecodeError>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_merged_until_the_report_has_room_for_them() {
        let mut intervals = Intervals::new(Duration::from_secs(600));
        let mut state = 1u64;
        for number in 0..1_200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (intended, latency) =
                (Duration::from_micros(number * 500), Duration::from_micros((state >> 33) % 1_000_000));
            intervals.count_scheduled(intended);
            intervals.record(intended, intended, Some(latency));
        }
        let encoded = encode_intervals(intervals).unwrap();
        assert!(encoded.seconds > 1 && encoded.latency.iter().map(String::len).sum::<usize>() <= MOST_INTERVAL_BYTES);
        assert_eq!(encoded.scheduled.iter().sum::<i64>(), 1_200_000);
    }

    #[test]
    fn lists_of_seconds_that_are_not_of_one_length_are_refused() {
        let mut result = ProducerResult::encode(&Sum::of(vec![]).unwrap(), BTreeMap::new()).unwrap();
        result.intervals.answered = vec![];
        let refused = result.decode().unwrap_err().to_string();
        assert_eq!(refused, "a producer reports 1 intervals with 0 counts and 1 histograms");
    }
}
