use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use crate::{accounting::Counts, histogram::LatencyHistogram};

/// What became of each image of one producer.
///
/// All times are durations since the common start, read from one monotonic clock. Acknowledgements and answers may come
/// in any order, also an answer before the acknowledgement of its image. Only images that wait for an answer take
/// memory.
#[derive(Debug)]
pub struct Ledger {
    warmup: Duration,
    next: u64,
    first_measured: Option<u64>,
    waiting: HashMap<u64, Image>,
    /// How many of those waiting Kafka has, or may have.
    expected: usize,
    given_up: HashSet<u64>,
    windows: Windows,
}

/// The accounts of the warm-up and of the measurement. An image belongs to one of them by its intended send time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    /// Images intended before the end of the warm-up.
    pub warmup: Tally,
    /// All others.
    pub measurement: Tally,
}

/// Counts and latencies of the images of one window. Errors and losses have no finite latency and are in no histogram
/// but, if they were handed to Kafka, that of the send delays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// What became of the images.
    pub counts: Counts,
    /// Answers with the right label.
    pub correct: u64,
    /// From the intended send to the answer.
    pub latency: LatencyHistogram,
    /// From the actual send to the answer.
    pub service_latency: LatencyHistogram,
    /// From the intended to the actual send.
    pub send_delay: LatencyHistogram,
    /// Values above one hour, which are in no histogram: a result with any of them is not valid.
    pub above_range: u64,
}

#[derive(Debug)]
struct Image {
    intended: Duration,
    sent: Duration,
    delivery: Delivery,
}

#[derive(Debug, PartialEq)]
enum Delivery {
    Pending,
    Acknowledged,
    Failed,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The right label.
    Correct,
    /// Another label.
    Wrong,
    /// The image could not be classified.
    Error,
}

/// What an answer was to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The first answer of its image.
    First,
    /// The image had been answered before.
    Duplicate,
    /// The image had been given up as lost, and stays so.
    Late,
    /// No such image was ever sent.
    Unknown,
}

impl Ledger {
    /// An empty ledger of a run whose first part, `warmup`, is counted apart.
    pub fn new(warmup: Duration) -> Self {
        Self {
            warmup,
            next: 0,
            first_measured: None,
            waiting: HashMap::new(),
            expected: 0,
            given_up: HashSet::new(),
            windows: Windows::default(),
        }
    }

    /// An image that was to be sent at `intended` is handed to Kafka at `sent`; returns its sequence number, from 0.
    /// Intended times never go back.
    pub fn send(&mut self, intended: Duration, sent: Duration) -> u64 {
        let sequence = self.schedule(intended);
        self.tally(sequence).record_send_delay(sent.saturating_sub(intended));
        self.waiting.insert(sequence, Image { intended, sent, delivery: Delivery::Pending });
        self.expected += 1;
        sequence
    }

    /// An image that was to be sent at `intended` never was: a send error.
    pub fn never_sent(&mut self, intended: Duration) {
        let sequence = self.schedule(intended);
        self.tally(sequence).counts.send_errors += 1;
    }

    /// Kafka has the image.
    pub fn acknowledged(&mut self, sequence: u64) {
        if self.deliver(sequence, Delivery::Acknowledged) {
            self.tally(sequence).counts.sent += 1;
        }
    }

    /// Kafka does not have the image, or so its client believes: if an answer comes all the same, it was sent.
    pub fn send_failed(&mut self, sequence: u64) {
        if self.deliver(sequence, Delivery::Failed) {
            self.expected -= 1;
            self.tally(sequence).counts.send_errors += 1;
        }
    }

    /// An answer was received at `at`.
    pub fn answered(&mut self, sequence: u64, at: Duration, outcome: Outcome) -> Answered {
        if let Some(image) = self.take(sequence) {
            self.tally(sequence).receive(&image, at, outcome);
            Answered::First
        } else if self.given_up.contains(&sequence) {
            Answered::Late
        } else if sequence < self.next {
            self.tally(sequence).counts.duplicates += 1;
            Answered::Duplicate
        } else {
            Answered::Unknown
        }
    }

    /// No answer is waited for any more: the image is lost or, if Kafka has not acknowledged it, a send error.
    pub fn give_up(&mut self, sequence: u64) {
        if let Some(image) = self.take(sequence) {
            self.tally(sequence).miss(&image);
            self.given_up.insert(sequence);
        }
    }

    /// Whether an image waits for its answer that Kafka has, or may have.
    pub fn expects_answers(&self) -> bool {
        self.expected > 0
    }

    /// The counts so far, of warm-up and measurement together. They close only at the end.
    pub fn progress(&self) -> Counts {
        let mut counts = self.windows.warmup.counts;
        counts += self.windows.measurement.counts;
        counts
    }

    /// The end of the drain time: what waits is given up.
    pub fn finish(mut self) -> Windows {
        let waiting: Vec<u64> = self.waiting.keys().copied().collect();
        waiting.into_iter().for_each(|sequence| self.give_up(sequence));
        self.windows
    }

    fn schedule(&mut self, intended: Duration) -> u64 {
        let sequence = self.next;
        self.next += 1;
        if intended >= self.warmup {
            self.first_measured.get_or_insert(sequence);
        }
        self.tally(sequence).counts.scheduled += 1;
        sequence
    }

    fn tally(&mut self, sequence: u64) -> &mut Tally {
        match self.first_measured {
            Some(first) if sequence >= first => &mut self.windows.measurement,
            _ => &mut self.windows.warmup,
        }
    }

    fn take(&mut self, sequence: u64) -> Option<Image> {
        let image = self.waiting.remove(&sequence)?;
        if image.delivery != Delivery::Failed {
            self.expected -= 1;
        }
        Some(image)
    }

    /// Only the first word about the delivery of an image counts.
    fn deliver(&mut self, sequence: u64, delivery: Delivery) -> bool {
        match self.waiting.get_mut(&sequence) {
            Some(image) if image.delivery == Delivery::Pending => {
                image.delivery = delivery;
                true
            }
            _ => false,
        }
    }
}

impl Tally {
    fn record_send_delay(&mut self, delay: Duration) {
        record(&mut self.send_delay, delay, &mut self.above_range);
    }

    fn receive(&mut self, image: &Image, at: Duration, outcome: Outcome) {
        match image.delivery {
            Delivery::Acknowledged => {}
            Delivery::Pending => self.counts.sent += 1,
            Delivery::Failed => {
                self.counts.send_errors -= 1;
                self.counts.sent += 1;
            }
        }
        self.counts.received += 1;
        match outcome {
            Outcome::Error => {
                self.counts.answer_errors += 1;
                return;
            }
            Outcome::Correct => self.correct += 1,
            Outcome::Wrong => {}
        }
        record(&mut self.latency, at.saturating_sub(image.intended), &mut self.above_range);
        record(&mut self.service_latency, at.saturating_sub(image.sent), &mut self.above_range);
    }

    fn miss(&mut self, image: &Image) {
        match image.delivery {
            Delivery::Acknowledged => self.counts.lost += 1,
            Delivery::Pending => self.counts.send_errors += 1,
            Delivery::Failed => {}
        }
    }
}

/// In whole microseconds, rounded down.
fn record(histogram: &mut LatencyHistogram, value: Duration, above_range: &mut u64) {
    let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
    if histogram.record(micros).is_err() {
        *above_range += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARMUP: Duration = Duration::from_secs(1);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn latency_counts_from_the_intended_send_and_service_latency_from_the_actual_one() {
        let mut ledger = Ledger::new(Duration::ZERO);
        let sequence = ledger.send(ms(100), ms(103));
        ledger.acknowledged(sequence);
        assert_eq!(ledger.answered(sequence, ms(113), Outcome::Correct), Answered::First);
        let tally = ledger.finish().measurement;
        assert_eq!(tally.latency.max().map(|value| value / 10), Some(1_300));
        assert_eq!(tally.service_latency.max().map(|value| value / 10), Some(1_000));
        assert_eq!(tally.send_delay.max().map(|value| value / 10), Some(300));
        assert_eq!((tally.correct, tally.counts.lost), (1, 0));
    }

    #[test]
    fn an_image_belongs_to_the_warmup_by_its_intended_send_whenever_its_answer_comes() {
        let mut ledger = Ledger::new(WARMUP);
        let early = ledger.send(ms(999), ms(1_500));
        let measured = ledger.send(ms(1_000), ms(1_500));
        ledger.answered(measured, ms(1_600), Outcome::Wrong);
        ledger.answered(early, ms(5_000), Outcome::Correct);
        ledger.answered(early, ms(5_001), Outcome::Correct);
        let Windows { warmup, measurement } = ledger.finish();
        assert_eq!((warmup.counts.scheduled, warmup.counts.received, warmup.counts.duplicates), (1, 1, 1));
        assert_eq!((measurement.counts.scheduled, measurement.counts.received, measurement.correct), (1, 1, 0));
    }

    #[test]
    fn an_answer_before_its_acknowledgement_counts_once() {
        let mut ledger = Ledger::new(Duration::ZERO);
        let sequence = ledger.send(ms(0), ms(0));
        ledger.answered(sequence, ms(1), Outcome::Correct);
        ledger.acknowledged(sequence);
        let counts = ledger.finish().measurement.counts;
        assert_eq!((counts.sent, counts.received), (1, 1));
        assert_eq!(counts.check(), Ok(()));
    }

    #[test]
    fn an_image_that_is_answered_was_sent_even_if_the_client_thought_otherwise() {
        let mut ledger = Ledger::new(Duration::ZERO);
        let sequence = ledger.send(ms(0), ms(0));
        assert!(ledger.expects_answers());
        ledger.send_failed(sequence);
        assert!(!ledger.expects_answers());
        assert_eq!(ledger.progress().send_errors, 1);
        ledger.answered(sequence, ms(9), Outcome::Correct);
        let counts = ledger.finish().measurement.counts;
        assert_eq!((counts.sent, counts.send_errors, counts.received), (1, 0, 1));
    }

    #[test]
    fn what_is_not_answered_is_lost_and_what_is_not_acknowledged_was_not_sent() {
        let mut ledger = Ledger::new(Duration::ZERO);
        let lost = ledger.send(ms(0), ms(0));
        ledger.acknowledged(lost);
        ledger.send(ms(1), ms(1));
        ledger.never_sent(ms(2));
        let counts = ledger.finish().measurement.counts;
        assert_eq!((counts.scheduled, counts.sent, counts.send_errors, counts.lost), (3, 1, 2, 1));
        assert_eq!(counts.check(), Ok(()));
    }

    #[test]
    fn a_late_answer_to_an_image_that_was_given_up_changes_nothing() {
        let mut ledger = Ledger::new(Duration::ZERO);
        let sequence = ledger.send(ms(0), ms(0));
        ledger.acknowledged(sequence);
        ledger.give_up(sequence);
        assert_eq!(ledger.answered(sequence, ms(9), Outcome::Correct), Answered::Late);
        let counts = ledger.finish().measurement.counts;
        assert_eq!((counts.received, counts.lost, counts.duplicates), (0, 1, 0));
    }

    #[test]
    fn an_error_answer_is_received_and_has_no_latency() {
        let mut ledger = Ledger::new(Duration::ZERO);
        let sequence = ledger.send(ms(0), ms(0));
        ledger.answered(sequence, ms(1), Outcome::Error);
        let tally = ledger.finish().measurement;
        assert_eq!((tally.counts.received, tally.counts.answer_errors, tally.counts.labelled()), (1, 1, 0));
        assert_eq!((tally.latency.count(), tally.service_latency.count()), (0, 0));
    }

    #[test]
    fn a_latency_above_one_hour_is_counted_and_not_clipped() {
        let mut ledger = Ledger::new(Duration::ZERO);
        let sequence = ledger.send(ms(0), ms(0));
        ledger.answered(sequence, Duration::from_secs(3_601), Outcome::Correct);
        let tally = ledger.finish().measurement;
        assert_eq!((tally.counts.received, tally.latency.count(), tally.above_range), (1, 0, 2));
    }

    #[test]
    fn an_answer_to_an_image_never_sent_is_unknown() {
        assert_eq!(Ledger::new(WARMUP).answered(0, ms(1), Outcome::Correct), Answered::Unknown);
    }
}
