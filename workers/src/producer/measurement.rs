//! What one producer has measured.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use tailrace_crds::{load_test::Messages, messages::signed, producer_report::ProducerResult};
use tailrace_measure::{
    accounting::{Tally, Windows},
    display,
    histogram::EncodeError,
    summary::{self, summarize},
    validity::{Evidence, Target, Validity, judge},
};

/// Counts, latencies, and what they were measured with.
#[derive(Debug)]
pub struct Measurement {
    /// The accounts of the warm-up and of the measurement.
    pub windows: Windows,
    /// The length of the measurement.
    pub duration: Duration,
    /// What was to be sent; none in a closed load.
    pub target: Option<Target>,
    /// How much later than the common start the producer began, by its node's clock, in microseconds.
    pub start_delay_micros: i64,
    /// What was set on Kafka's clients.
    pub client_settings: BTreeMap<String, String>,
}

/// The measurement as a producer prints it that works for nobody.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary<'a> {
    messages: Messages,
    warmup_messages: Messages,
    latency_micros: summary::Summary,
    service_latency_micros: summary::Summary,
    send_delay_micros: summary::Summary,
    offered_per_second: String,
    achieved_per_second: String,
    accuracy_percent: Option<String>,
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
        let Tally { counts, correct, latency, service_latency, send_delay, .. } = &self.windows.measurement;
        Ok(ProducerResult {
            messages: (*counts).into(),
            warmup_messages: self.windows.warmup.counts.into(),
            correct: signed(*correct),
            start_delay_micros: self.start_delay_micros,
            latency: latency.encode()?,
            service_latency: service_latency.encode()?,
            send_delay: send_delay.encode()?,
            client_settings: self.client_settings.clone(),
        })
    }

    /// Percentiles and the judgement.
    pub fn summary(&self) -> Summary<'_> {
        let Tally { counts, correct, latency, service_latency, send_delay, .. } = &self.windows.measurement;
        Summary {
            messages: (*counts).into(),
            warmup_messages: self.windows.warmup.counts.into(),
            latency_micros: summarize(latency, counts.scheduled),
            service_latency_micros: summarize(service_latency, counts.scheduled),
            send_delay_micros: summarize(send_delay, send_delay.count()),
            offered_per_second: display::rate(counts.sent, self.duration),
            achieved_per_second: display::rate(counts.received, self.duration),
            accuracy_percent: display::percent(*correct, counts.labelled()),
            invalid: match self.validity() {
                Validity::Valid => None,
                Validity::Invalid { message, .. } => Some(message),
            },
            client_settings: &self.client_settings,
        }
    }

    fn validity(&self) -> Validity {
        let Tally { counts, latency, service_latency, send_delay, .. } = &self.windows.measurement;
        let Self { duration, target, .. } = *self;
        judge(&Evidence { counts, latency, service_latency, send_delay, duration, target })
    }
}

#[cfg(test)]
mod tests {
    use tailrace_measure::{
        accounting::{Ledger, Outcome},
        histogram::LatencyHistogram,
    };

    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    /// One image in the warm-up; of ten that are measured, seven have the right label, one a wrong one, one an error,
    /// and one is lost.
    fn measurement() -> Measurement {
        let mut ledger = Ledger::new(TICK);
        for number in 0..11 {
            let sequence = ledger.send(TICK * number, TICK * number);
            ledger.acknowledged(sequence);
            let outcome = match number {
                8 => Outcome::Wrong,
                9 => Outcome::Error,
                10 => continue,
                _ => Outcome::Correct,
            };
            ledger.answered(sequence, TICK * number + TICK / 10, outcome);
        }
        Measurement {
            windows: ledger.finish(),
            duration: TICK * 10,
            target: Some(Target::PerSecond(10)),
            start_delay_micros: 7,
            client_settings: BTreeMap::new(),
        }
    }

    #[test]
    fn a_report_has_the_counts_and_whole_histograms() {
        let result = measurement().result().unwrap();
        let Messages { scheduled, sent, received, lost, answer_errors, .. } = result.messages;
        assert_eq!((scheduled, sent, received, lost, answer_errors), (10, 10, 9, 1, 1));
        assert_eq!(result.warmup_messages.received, 1);
        assert_eq!((result.correct, result.start_delay_micros), (7, 7));
        let counts = [&result.latency, &result.service_latency, &result.send_delay];
        assert_eq!(counts.map(|text| LatencyHistogram::decode(text).unwrap().count()), [8, 8, 10]);
    }

    #[test]
    fn a_summary_has_rates_accuracy_and_no_percentile_that_falls_on_a_lost_image() {
        let measurement = measurement();
        let summary = measurement.summary();
        assert_eq!(summary.offered_per_second, "10.0");
        assert_eq!(summary.achieved_per_second, "9.0");
        assert_eq!(summary.accuracy_percent.as_deref(), Some("87.5"));
        assert!(summary.latency_micros.p50.is_some_and(|p50| (10_000..10_010).contains(&p50)));
        assert_eq!(summary.latency_micros.p90, None);
        assert_eq!(summary.invalid, None);
    }
}
