//! What one producer has measured.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::Value;
use tailrace_crds::producer_report::{ProducerIntervals, ProducerResult};
use tailrace_measure::{
    accounting::{Counts, Stages, Tally, Windows},
    confidence::confidence,
    display,
    histogram::{EncodeError, LatencyHistogram},
    intervals::{Buckets, Intervals},
    signed::signed,
    sum::Sum,
    summary::{self, summarize},
    validity::{Evidence, Target, Validity, judge},
};

use tailrace_report::json;

use super::raw_log::RawLog;

/// What the API server takes of one object is 1.5 MiB; this is for the histograms of seconds.
const MOST_INTERVAL_BYTES: usize = 600 << 10;

/// Counts, latencies, and what they were measured with.
pub struct Measurement {
    /// The accounts of the warm-up and of the measurement.
    pub windows: Windows,
    /// How long was measured.
    pub measured: Duration,
    /// What was to be sent; none in a closed load.
    pub target: Option<Target>,
    /// How much later than the common start the producer began, by its node's clock, in microseconds.
    pub start_delay_micros: i64,
    /// How long the container was kept from running by its CPU limit; none if nobody says.
    pub throttled: Option<Duration>,
    /// How many records the topic of the images got meanwhile, from all sources; none if Kafka did not say.
    pub topic_records: Option<i64>,
    /// How many records Kafka deleted meanwhile before the classifier or the archive had read them; none if nobody says.
    pub skipped_records: Option<u64>,
    /// How many answers of other Pipelines came to the images of this producer.
    pub foreign_answers: u64,
    /// What was set on Kafka's clients.
    pub client_settings: BTreeMap<String, String>,
    /// A line for each message, if they are wanted.
    pub raw_log: Option<RawLog>,
}

/// The measurement as a producer prints it that works for nobody.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary<'a> {
    messages: Counts,
    warmup_messages: Counts,
    latency_micros: Value,
    /// 95 %, by block bootstrap; none of less than twenty seconds.
    confidence_micros: Option<Value>,
    service_latency_micros: Value,
    send_delay_micros: Value,
    stages_micros: Stages<Value>,
    offered_per_second: String,
    achieved_per_second: String,
    accuracy_percent: Option<String>,
    /// Answers of other Pipelines on the same topics, which are in no other number.
    foreign_answers: u64,
    /// Records of the topic of the images, from all sources; none if Kafka did not say.
    topic_records: Option<i64>,
    /// Records that Kafka deleted before the consumers had read them; none if nobody says.
    skipped_records: Option<u64>,
    /// Why the numbers do not mean what they say; none if they do.
    invalid: Option<String>,
    client_settings: &'a BTreeMap<String, String>,
}

impl Measurement {
    /// The form in which a ProducerReport takes it.
    ///
    /// # Errors
    /// Those of the compressor.
    pub fn result(&self) -> Result<ProducerResult, EncodeError> {
        let Tally { counts, correct, compared, latency, service_latency, send_delay, stages, .. } =
            &self.windows.measurement;
        Ok(ProducerResult {
            messages: *counts,
            warmup_messages: self.windows.warmup.counts,
            correct: signed(*correct),
            compared: signed(*compared),
            measured_micros: micros(self.measured),
            start_delay_micros: self.start_delay_micros,
            latency: latency.encode()?,
            service_latency: service_latency.encode()?,
            send_delay: send_delay.encode()?,
            stages: stages.try_map(LatencyHistogram::encode)?,
            intervals: encode_intervals(self.intervals())?,
            throttled_micros: self.throttled.map(micros),
            topic_records: self.topic_records,
            skipped_records: self.skipped_records.map(signed),
            foreign_answers: signed(self.foreign_answers),
            client_settings: self.client_settings.clone(),
        })
    }

    /// What it adds to a test of several producers.
    pub fn part(&self) -> Sum {
        Sum {
            warmup: self.windows.warmup.counts,
            tally: self.windows.measurement.clone(),
            intervals: self.intervals(),
            measured: self.measured,
            throttled: self.throttled,
            topic_records: self.topic_records.and_then(|records| u64::try_from(records).ok()),
            skipped_records: self.skipped_records,
            foreign_answers: self.foreign_answers,
            start_delays_micros: vec![self.start_delay_micros],
        }
    }

    /// Percentiles and the judgement.
    pub fn summary(&self) -> Summary<'_> {
        let Tally { counts, correct, compared, latency, service_latency, send_delay, stages, .. } =
            &self.windows.measurement;
        Summary {
            messages: *counts,
            warmup_messages: self.windows.warmup.counts,
            latency_micros: json::latency(&summarize(latency, counts.scheduled)),
            confidence_micros: confidence(&self.intervals()).as_ref().map(json::confidence),
            service_latency_micros: json::latency(&summarize(service_latency, counts.scheduled)),
            send_delay_micros: json::latency(&summary::Summary::of_values(send_delay)),
            stages_micros: stages.summaries().map(json::latency),
            offered_per_second: display::rate(counts.sent, self.measured),
            achieved_per_second: display::rate(counts.received, self.measured),
            accuracy_percent: display::percent(*correct, *compared),
            foreign_answers: self.foreign_answers,
            topic_records: self.topic_records,
            skipped_records: self.skipped_records,
            invalid: match self.validity() {
                Validity::Valid => None,
                Validity::Invalid { message, .. } => Some(message),
            },
            client_settings: &self.client_settings,
        }
    }

    /// Those of what was measured.
    fn intervals(&self) -> Intervals {
        let mut intervals = self.windows.intervals.clone();
        intervals.truncate(self.measured);
        intervals
    }

    fn validity(&self) -> Validity {
        let Tally { counts, latency, service_latency, send_delay, stages, .. } = &self.windows.measurement;
        let Self { measured: duration, target, throttled, .. } = *self;
        let cpu_limit = None;
        judge(&Evidence {
            counts,
            latency,
            service_latency,
            send_delay,
            stages,
            duration,
            target,
            throttled,
            cpu_limit,
        })
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
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

#[cfg(test)]
mod tests {
    use tailrace_measure::{
        accounting::{Answer, Ledger, Outcome},
        histogram::LatencyHistogram,
    };

    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    /// One image in the warm-up; of ten that are measured, seven have the right label, one a wrong one, one an error,
    /// and one is lost.
    fn measurement() -> Measurement {
        let mut ledger = Ledger::new(TICK, Intervals::new(TICK * 10));
        for number in 0..11 {
            let sequence = ledger.send(TICK * number, TICK * number);
            ledger.acknowledged(sequence, TICK * number + TICK / 50);
            let outcome = match number {
                8 => Outcome::Wrong,
                9 => Outcome::Error,
                10 => continue,
                _ => Outcome::Correct,
            };
            let answer = Answer { outcome, queue: TICK / 100, compute: TICK / 50 };
            ledger.answered(sequence, TICK * number + TICK / 10, answer);
        }
        Measurement {
            windows: ledger.finish().0,
            measured: TICK * 10,
            target: Some(Target::PerSecond(10)),
            start_delay_micros: 7,
            throttled: Some(Duration::ZERO),
            topic_records: Some(12),
            skipped_records: None,
            foreign_answers: 0,
            client_settings: BTreeMap::new(),
            raw_log: None,
        }
    }

    #[test]
    fn a_report_has_the_counts_and_whole_histograms() {
        let result = measurement().result().unwrap();
        let Counts { scheduled, sent, received, lost, answer_errors, .. } = result.messages;
        assert_eq!((scheduled, sent, received, lost, answer_errors), (10, 10, 9, 1, 1));
        assert_eq!(result.warmup_messages.received, 1);
        assert_eq!((result.correct, result.compared, result.start_delay_micros), (7, 8, 7));
        assert_eq!(
            (result.measured_micros, result.throttled_micros, result.topic_records),
            (1_000_000, Some(0), Some(12))
        );
        let counts = [&result.latency, &result.service_latency, &result.send_delay];
        assert_eq!(counts.map(|text| LatencyHistogram::decode(text).unwrap().count()), [8, 8, 10]);
    }

    #[test]
    fn a_report_has_the_stages_and_the_seconds() {
        let ProducerResult { stages, intervals, .. } = measurement().result().unwrap();
        let p50 = |text: &str| summarize(&LatencyHistogram::decode(text).unwrap(), 8).p50;
        let medians = [&stages.queue, &stages.compute, &stages.acknowledgement, &stages.rest].map(|text| p50(text));
        assert_eq!(medians, [1_000, 2_000, 2_000, 7_000].map(|micros| LatencyHistogram::bucket(micros).ok()));
        assert_eq!((intervals.seconds, intervals.scheduled, intervals.answered), (1, vec![10], vec![9]));
        assert_eq!(LatencyHistogram::decode(&intervals.latency[0]).unwrap().count(), 8);
    }

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
    fn a_summary_has_rates_accuracy_and_no_percentile_that_falls_on_a_lost_image() {
        let measurement = measurement();
        let summary = measurement.summary();
        assert_eq!(summary.offered_per_second, "10.0");
        assert_eq!(summary.achieved_per_second, "9.0");
        assert_eq!(summary.accuracy_percent.as_deref(), Some("87.5"));
        assert!(summary.latency_micros["p50"].as_u64().is_some_and(|p50| (10_000..10_010).contains(&p50)));
        assert_eq!(summary.latency_micros["p90"], Value::Null);
        assert_eq!(summary.invalid, None);
    }
}
