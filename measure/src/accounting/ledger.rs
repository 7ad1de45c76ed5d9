use std::{
    collections::{HashMap, HashSet},
    mem,
    time::Duration,
};

use super::{
    Answer, Answered, Counts, Record, Tally, Windows,
    image::{Delivery, Image},
};
use crate::{histogram::LatencyHistogram, intervals::Intervals};

/// What became of each image of one producer.
///
/// All times are durations since the common start, read from one monotonic clock. Acknowledgements and answers may come
/// in any order, also an answer before the acknowledgement of its image. Only images of which more is to come take
/// memory.
#[derive(Debug)]
pub struct Ledger {
    warmup: Duration,
    /// Of the measurement; what is answered later is answered in the drain time.
    end: Duration,
    next: u64,
    first_measured: Option<u64>,
    images: HashMap<u64, Image>,
    /// How many of them wait for an answer that may still come.
    expected: usize,
    given_up: HashSet<u64>,
    /// Images whose sending failed since that was last asked for.
    failed: Vec<u64>,
    windows: Windows,
    recent: LatencyHistogram,
    /// Settled images that nobody has taken yet, if they are kept at all.
    records: Option<Vec<Record>>,
}

impl Ledger {
    /// An empty ledger of a run whose first part, `warmup`, is counted apart, and whose measurement of this length is kept
    /// in intervals.
    pub fn new(warmup: Duration, measurement: Duration) -> Self {
        let intervals = Intervals::new(measurement);
        Self {
            warmup,
            end: warmup.saturating_add(measurement),
            next: 0,
            first_measured: None,
            images: HashMap::new(),
            expected: 0,
            given_up: HashSet::new(),
            failed: Vec::new(),
            windows: Windows { warmup: Tally::default(), measurement: Tally::default(), intervals },
            recent: LatencyHistogram::new(),
            records: None,
        }
    }

    /// The measurement ends early. No answer after `end` may have been entered before.
    pub fn end_at(&mut self, end: Duration) {
        self.end = self.end.min(end);
    }

    /// Keeps a record of each image for [`Self::take_records`].
    #[must_use]
    pub fn with_records(mut self) -> Self {
        self.records = Some(Vec::new());
        self
    }

    /// An image that was to be sent at `intended` is handed to Kafka at `sent`; returns its sequence number, from 0.
    /// Intended times never go back.
    pub fn send(&mut self, intended: Duration, sent: Duration) -> u64 {
        let sequence = self.schedule(intended);
        self.tally(sequence).record_send_delay(sent.saturating_sub(intended));
        self.images.insert(sequence, Image::new(intended, sent));
        self.expected += 1;
        sequence
    }

    /// An image that was to be sent at `intended` never was: a send error.
    pub fn never_sent(&mut self, intended: Duration) {
        let sequence = self.schedule(intended);
        self.tally(sequence).counts.send_errors += 1;
        let measured = self.is_measured(sequence);
        let (sent, acknowledged, answered, lost) = (None, None, None, false);
        self.keep(Record { sequence, measured, intended, sent, acknowledged, answered, lost });
    }

    /// Kafka has the image since `at`.
    pub fn acknowledged(&mut self, sequence: u64, at: Duration) {
        let Some(image) = self.deliver(sequence, Delivery::Acknowledged(at)) else { return };
        let (took, counted) = (at.saturating_sub(image.sent), image.answered.is_some());
        let tally = self.tally(sequence);
        tally.record_acknowledgement(took);
        // An image that was answered before is known to have been sent.
        tally.counts.sent += u64::from(!counted);
        self.settle(sequence);
    }

    /// Kafka does not have the image, or so its client believes: if an answer comes all the same, it was sent.
    pub fn send_failed(&mut self, sequence: u64) {
        let Some(image) = self.deliver(sequence, Delivery::Failed) else { return };
        if image.answered.is_none() {
            self.expected -= 1;
            self.tally(sequence).counts.send_errors += 1;
            self.failed.push(sequence);
        }
        self.settle(sequence);
    }

    /// An answer was received at `at`.
    pub fn answered(&mut self, sequence: u64, at: Duration, answer: Answer) -> Answered {
        let Some(image) = self.images.get(&sequence) else { return self.answered_before(sequence) };
        if image.answered.is_some() {
            return self.answered_before(sequence);
        }
        self.first_answer(sequence, at, answer);
        self.settle(sequence);
        Answered::First
    }

    /// From `at` on no answer is waited for: the image is lost or, if Kafka has not acknowledged it, a send error.
    pub fn give_up(&mut self, sequence: u64, at: Duration) {
        if self.images.get(&sequence).is_none_or(|image| image.answered.is_some()) {
            return;
        }
        if let Some(image) = self.close(sequence) {
            self.expected -= usize::from(image.expects_answer());
            let end = self.end;
            self.tally(sequence).miss(&image, at, end);
            self.given_up.insert(sequence);
        }
    }

    /// Whether an image waits for its answer that Kafka has, or may have.
    pub fn expects_answers(&self) -> bool {
        self.expected > 0
    }

    /// The images that could not be sent since this was last asked, so that nobody need wait for their answers.
    pub fn take_failed(&mut self) -> Vec<u64> {
        mem::take(&mut self.failed)
    }

    /// The counts so far, of warm-up and measurement together. They close only at the end.
    pub fn progress(&self) -> Counts {
        let mut counts = self.windows.warmup.counts;
        counts += self.windows.measurement.counts;
        counts
    }

    /// The latencies of the answers since this was last asked, of warm-up and measurement together.
    pub fn take_recent(&mut self) -> LatencyHistogram {
        mem::take(&mut self.recent)
    }

    /// The images that were settled since this was last asked, in the order of their settling; none if none are kept.
    pub fn take_records(&mut self) -> Vec<Record> {
        self.records.as_mut().map(mem::take).unwrap_or_default()
    }

    /// The end of the drain time: what waits is given up. Returns the accounts and the records not yet taken.
    pub fn finish(mut self) -> (Windows, Vec<Record>) {
        let mut waiting: Vec<u64> = self.images.keys().copied().collect();
        waiting.sort_unstable();
        for sequence in waiting {
            self.give_up(sequence, Duration::MAX);
            // Answered, and the word about its delivery never came.
            self.close(sequence);
        }
        (self.windows, self.records.unwrap_or_default())
    }

    fn schedule(&mut self, intended: Duration) -> u64 {
        let sequence = self.next;
        self.next += 1;
        if intended >= self.warmup {
            self.first_measured.get_or_insert(sequence);
            self.windows.intervals.count_scheduled(intended - self.warmup);
        }
        self.tally(sequence).counts.scheduled += 1;
        sequence
    }

    fn is_measured(&self, sequence: u64) -> bool {
        self.first_measured.is_some_and(|first| sequence >= first)
    }

    fn tally(&mut self, sequence: u64) -> &mut Tally {
        if self.is_measured(sequence) { &mut self.windows.measurement } else { &mut self.windows.warmup }
    }

    /// Only the first word about the delivery of an image counts.
    fn deliver(&mut self, sequence: u64, delivery: Delivery) -> Option<&Image> {
        let image = self.images.get_mut(&sequence).filter(|image| image.delivery == Delivery::Pending)?;
        image.delivery = delivery;
        Some(image)
    }

    fn first_answer(&mut self, sequence: u64, at: Duration, answer: Answer) {
        let Some(mut image) = self.images.remove(&sequence) else { return };
        self.expected -= usize::from(image.expects_answer());
        let end = self.end;
        let latency = self.tally(sequence).receive(&image, at, answer, end);
        image.answered = Some((at, answer));
        if let Some(latency) = latency {
            // What is above the range is counted by the tally.
            let _ = self.recent.record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        }
        if self.is_measured(sequence) {
            let at = (at < end).then(|| at.saturating_sub(self.warmup));
            self.windows.intervals.record(image.intended - self.warmup, at, latency);
        }
        self.images.insert(sequence, image);
    }

    fn answered_before(&mut self, sequence: u64) -> Answered {
        if self.given_up.contains(&sequence) {
            Answered::Late
        } else if sequence < self.next {
            self.tally(sequence).counts.duplicates += 1;
            Answered::Duplicate
        } else {
            Answered::Unknown
        }
    }

    fn settle(&mut self, sequence: u64) {
        if self.images.get(&sequence).is_some_and(Image::is_settled) {
            self.close(sequence);
        }
    }

    fn close(&mut self, sequence: u64) -> Option<Image> {
        let image = self.images.remove(&sequence)?;
        self.keep(image.record(sequence, self.is_measured(sequence)));
        Some(image)
    }

    fn keep(&mut self, record: Record) {
        if let Some(records) = &mut self.records {
            records.push(record);
        }
    }
}

#[cfg(test)]
mod tests;
