//! What one producer has measured.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tailrace_measure::{
    accounting::{Backlog, Counts, Stages},
    histogram::EncodeError,
    judgement::{Circumstances, judge},
    load::Load,
    producer_result::ProducerResult,
    result::{Rate, TestResult},
    sum::Sum,
};
use tailrace_report::json;

use super::raw_log::RawLog;

/// Counts, latencies, and what they were measured with.
pub struct Measurement {
    /// The numbers: what this producer adds to a test of several.
    pub sum: Sum,
    /// What decided when images were sent.
    pub load: Load,
    /// What was set on Kafka's clients.
    pub client_settings: BTreeMap<String, String>,
    /// A line for each message, if they are wanted.
    pub raw_log: Option<RawLog>,
}

/// The measurement as a producer prints it that works for nobody.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary<'a> {
    messages: Option<Counts>,
    warmup_messages: Option<Counts>,
    backlog: Option<Backlog>,
    latency_micros: Option<Value>,
    /// 95 %, by block bootstrap; none of less than twenty seconds.
    confidence_micros: Option<Value>,
    service_latency_micros: Option<Value>,
    send_delay_micros: Option<Value>,
    stages_micros: Option<Stages<Value>>,
    offered_per_second: String,
    achieved_per_second: String,
    accuracy_percent: Option<String>,
    /// Answers of other Pipelines on the same topics, which are in no other number.
    foreign_answers: u64,
    /// Records of the topic of the images, from all sources; none if Kafka did not say.
    topic_records: Option<u64>,
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
        ProducerResult::encode(&self.sum, self.client_settings.clone())
    }

    /// Percentiles and the judgement.
    pub fn summary(&self) -> Summary<'_> {
        let Self { sum, load, client_settings, .. } = self;
        let result = TestResult::of(sum, load, 1);
        let judgement = judge(sum, load.target(1), &[], &Circumstances::default());
        let Rate { offered, achieved, .. } = result.rate.unwrap_or_default();
        Summary {
            messages: result.messages,
            warmup_messages: result.warmup_messages,
            backlog: result.backlog,
            latency_micros: result.latency_micros.as_ref().map(json::latency),
            confidence_micros: result.confidence_micros.as_ref().map(json::confidence),
            service_latency_micros: result.service_latency_micros.as_ref().map(json::latency),
            send_delay_micros: result.send_delay_micros.as_ref().map(json::latency),
            stages_micros: result.stages_micros.map(|stages| stages.map(json::latency)),
            offered_per_second: offered,
            achieved_per_second: achieved,
            accuracy_percent: result.accuracy_percent,
            foreign_answers: sum.foreign_answers,
            topic_records: sum.topic_records,
            skipped_records: sum.skipped_records,
            invalid: (!judgement.is_valid()).then_some(judgement.message),
            client_settings,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tailrace_measure::{
        accounting::{Answer, Ledger, Outcome},
        histogram::LatencyHistogram,
        load::Arrivals,
        summary::summarize,
    };

    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    /// One image in the warm-up; of ten that are measured, seven have the right label, one a wrong one, one an error,
    /// and one is lost.
    fn measurement() -> Measurement {
        let mut ledger = Ledger::new(TICK, TICK * 10);
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
        let windows = ledger.finish().0;
        let sum = Sum {
            warmup: windows.warmup.counts,
            tally: windows.measurement,
            intervals: windows.intervals,
            measured: TICK * 10,
            throttled: Some(Duration::ZERO),
            topic_records: Some(12),
            skipped_records: None,
            foreign_answers: 0,
            start_delays_micros: vec![7],
        };
        let load = Load::Open { rate_per_producer: 10, arrivals: Arrivals::Constant };
        Measurement { sum, load, client_settings: BTreeMap::new(), raw_log: None }
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
    fn a_summary_has_rates_accuracy_and_no_percentile_that_falls_on_a_lost_image() {
        let measurement = measurement();
        let summary = measurement.summary();
        assert_eq!(summary.offered_per_second, "10.0");
        assert_eq!(summary.achieved_per_second, "9.0");
        assert_eq!(summary.accuracy_percent.as_deref(), Some("87.5"));
        let latency = summary.latency_micros.unwrap();
        assert!(latency["p50"].as_u64().is_some_and(|p50| (10_000..10_010).contains(&p50)));
        assert_eq!(latency["p90"], Value::Null);
        assert_eq!(summary.invalid, None);
    }
}
