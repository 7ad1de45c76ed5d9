use std::time::Duration;

use super::{
    Backlog, Counts, Stages,
    image::{Answer, Delivery, Image, Outcome},
};
use crate::{histogram::LatencyHistogram, intervals::Intervals};

/// The accounts of the warm-up and of the measurement. An image belongs to one of them by its intended send time.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// Images intended before the end of the warm-up.
    pub warmup: Tally,
    /// All others.
    pub measurement: Tally,
    /// The measurement, second by second.
    pub intervals: Intervals,
}

/// Counts and latencies of the images of one window. Errors and losses have no finite latency and are in no histogram
/// but, if they were handed to Kafka, that of the send delays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// What became of the images.
    pub counts: Counts,
    /// The images that were sent and not answered at the end of the measurement.
    pub backlog: Backlog,
    /// Answers with the right label.
    pub correct: u64,
    /// Answers whose label was compared with the right one.
    pub compared: u64,
    /// From the intended send to the answer.
    pub latency: LatencyHistogram,
    /// From the actual send to the answer.
    pub service_latency: LatencyHistogram,
    /// From the intended to the actual send.
    pub send_delay: LatencyHistogram,
    /// Where the service latency went.
    pub stages: Stages<LatencyHistogram>,
    /// Values above one hour, which are in no histogram: a result with any of them is not valid.
    pub above_range: u64,
}

impl Tally {
    /// Adds all counts and values of the other.
    pub fn add(&mut self, other: &Self) {
        self.counts += other.counts;
        self.backlog += other.backlog;
        self.correct += other.correct;
        self.compared += other.compared;
        self.latency.add(&other.latency);
        self.service_latency.add(&other.service_latency);
        self.send_delay.add(&other.send_delay);
        self.stages.add(&other.stages);
        self.above_range += other.above_range;
    }

    pub(super) fn record_send_delay(&mut self, delay: Duration) {
        record(&mut self.send_delay, delay, &mut self.above_range);
    }

    pub(super) fn record_acknowledgement(&mut self, took: Duration) {
        record(&mut self.stages.acknowledgement, took, &mut self.above_range);
    }

    /// The first answer of an image; its latency if that is finite. `end` is that of the measurement.
    pub(super) fn receive(&mut self, image: &Image, at: Duration, answer: Answer, end: Duration) -> Option<Duration> {
        match image.delivery {
            Delivery::Acknowledged(_) => {}
            Delivery::Pending => self.counts.sent += 1,
            Delivery::Failed => {
                self.counts.send_errors -= 1;
                self.counts.sent += 1;
            }
        }
        self.counts.received += 1;
        if at >= end {
            self.counts.drained += 1;
            if image.sent < end {
                self.backlog.count(Some(at - end));
            }
        }
        match answer.outcome {
            Outcome::Error => {
                self.counts.answer_errors += 1;
                return None;
            }
            Outcome::Correct => {
                self.correct += 1;
                self.compared += 1;
            }
            Outcome::Wrong => self.compared += 1,
            Outcome::Unlabelled => {}
        }
        let (latency, service) = (at.saturating_sub(image.intended), at.saturating_sub(image.sent));
        let above_range = &mut self.above_range;
        record(&mut self.latency, latency, above_range);
        record(&mut self.service_latency, service, above_range);
        record(&mut self.stages.queue, answer.queue, above_range);
        record(&mut self.stages.compute, answer.compute, above_range);
        let rest = service.saturating_sub(answer.queue).saturating_sub(answer.compute);
        record(&mut self.stages.rest, rest, above_range);
        Some(latency)
    }

    /// An image is given up at `at`.
    pub(super) fn miss(&mut self, image: &Image, at: Duration, end: Duration) {
        match image.delivery {
            Delivery::Acknowledged(_) => {
                self.counts.lost += 1;
                if at >= end && image.sent < end {
                    self.backlog.count(None);
                }
            }
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
