//! All producers' numbers together. Histograms are summed; percentiles are never averaged.

use std::time::Duration;

use crate::{
    accounting::{Counts, Tally},
    display,
    intervals::{Intervals, OtherIntervals},
    slo::Results,
    summary::{Summary, summarize},
    validity::{Evidence, Target},
};

/// The numbers of one producer, or of several together.
#[derive(Clone, Debug)]
pub struct Sum {
    /// The images of the warm-up.
    pub warmup: Counts,
    /// The images of the measurement.
    pub tally: Tally,
    /// The measurement second by second.
    pub intervals: Intervals,
    /// How long was measured: as long as all producers did.
    pub measured: Duration,
    /// How long producers were kept from running by a CPU limit, together; none if none of them says.
    pub throttled: Option<Duration>,
    /// How many records the topic of the images got meanwhile, from all sources; none if nobody says.
    pub topic_records: Option<u64>,
    /// How many records Kafka deleted meanwhile before the classifier or the archive had read them; none if nobody says.
    pub skipped_records: Option<u64>,
    /// How many answers of other Pipelines came to images of this test.
    pub foreign_answers: u64,
    /// How much later than the common start each producer began, by its own host's clock, in microseconds.
    pub start_delays_micros: Vec<i64>,
}

impl Sum {
    /// The sum over all producers.
    ///
    /// # Errors
    /// Their intervals are not of one length.
    pub fn of(parts: Vec<Self>) -> Result<Self, OtherIntervals> {
        let mut sum = Self {
            warmup: Counts::default(),
            tally: Tally::default(),
            intervals: Intervals::new(Duration::ZERO),
            measured: parts.iter().map(|part| part.measured).min().unwrap_or_default(),
            throttled: parts.iter().filter_map(|part| part.throttled).reduce(|a, b| a + b),
            topic_records: parts.iter().filter_map(|part| part.topic_records).max(),
            skipped_records: parts.iter().filter_map(|part| part.skipped_records).max(),
            foreign_answers: parts.iter().map(|part| part.foreign_answers).sum(),
            start_delays_micros: parts.iter().flat_map(|part| part.start_delays_micros.clone()).collect(),
        };
        for part in &parts {
            sum.warmup += part.warmup;
            sum.tally.add(&part.tally);
        }
        sum.intervals = sum_of_intervals(parts.into_iter().map(|part| part.intervals).collect())?;
        Ok(sum)
    }

    /// Between the first and the last start, in microseconds.
    pub fn start_skew_micros(&self) -> i64 {
        let delays = || self.start_delays_micros.iter().copied();
        delays().max().unwrap_or(0).saturating_sub(delays().min().unwrap_or(0))
    }

    /// Percentiles of the latency, over all images scheduled.
    pub fn latency(&self) -> Summary {
        summarize(&self.tally.latency, self.tally.counts.scheduled)
    }

    /// Percentiles of the service latency, over all images scheduled.
    pub fn service_latency(&self) -> Summary {
        summarize(&self.tally.service_latency, self.tally.counts.scheduled)
    }

    /// What its validity is judged by. `target` is what all producers were to send, none of a closed load.
    pub fn evidence(&self, target: Option<Target>) -> Evidence<'_> {
        let Tally { counts, latency, service_latency, send_delay, stages, .. } = &self.tally;
        let Self { measured: duration, throttled, .. } = *self;
        let cpu_limit = None;
        Evidence { counts, latency, service_latency, send_delay, stages, duration, throttled, cpu_limit, target }
    }

    /// What objectives look at.
    pub fn results<'a>(&'a self, latency: &'a Summary, target: Option<Target>) -> Results<'a> {
        let Tally { counts, correct, compared, .. } = &self.tally;
        Results { latency, counts, correct: *correct, compared: *compared, duration: self.measured, target }
    }

    /// Records of the topic that no producer of this test can have sent; none if there are none. One whose delivery failed
    /// may be there all the same.
    pub fn foreign_images(&self) -> Option<u64> {
        let own = |counts: &Counts| counts.sent + counts.send_errors;
        let foreign = self.topic_records?.saturating_sub(own(&self.tally.counts) + own(&self.warmup));
        (foreign > 0).then_some(foreign)
    }

    /// What became of the images, and the p95: `600 images, all answered; p95 3.1ms`. `drain` is how long answers
    /// were waited for.
    pub fn in_a_sentence(&self, drain: Duration) -> String {
        let Counts { scheduled, send_errors, lost, answer_errors, .. } = self.tally.counts;
        let p95 = self.latency().p95.map_or_else(|| display::unbounded(drain), display::micros);
        let trouble: Vec<_> =
            [(send_errors, "could not be sent"), (lost, "were lost"), (answer_errors, "were answered with an error")]
                .into_iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, what)| format!("{count} {what}"))
                .collect();
        if trouble.is_empty() {
            format!("{scheduled} images, all answered; p95 {p95}")
        } else {
            format!("{scheduled} images, of which {}; p95 {p95}", trouble.join(", "))
        }
    }
}

/// Producers that were aborted ended at different times: what not all of them have measured is left out.
fn sum_of_intervals(all: Vec<Intervals>) -> Result<Intervals, OtherIntervals> {
    let end =
        all.iter().map(|intervals| intervals.length() * u32::try_from(intervals.list().len()).unwrap_or(u32::MAX));
    let end = end.min().unwrap_or_default();
    let mut parts = all.into_iter().map(|mut intervals| {
        intervals.truncate(end);
        intervals
    });
    let mut sum = parts.next().unwrap_or_else(|| Intervals::new(Duration::ZERO));
    parts.try_for_each(|intervals| sum.add(intervals))?;
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::{Answer, Ledger, Outcome};

    const TICK: Duration = Duration::from_millis(100);

    /// Ten images, of which the last `lost` were not answered, and the others took 10 ms.
    fn part(lost: u32, start_delay_micros: i64) -> Sum {
        let mut ledger = Ledger::new(Duration::ZERO, TICK * 10);
        for number in 0..10 {
            let sequence = ledger.send(TICK * number, TICK * number);
            ledger.acknowledged(sequence, TICK * number);
            if number < 10 - lost {
                let answer = Answer { outcome: Outcome::Correct, queue: Duration::ZERO, compute: Duration::ZERO };
                ledger.answered(sequence, TICK * number + TICK / 10, answer);
            }
        }
        let windows = ledger.finish().0;
        Sum {
            warmup: windows.warmup.counts,
            tally: windows.measurement,
            intervals: windows.intervals,
            measured: TICK * 10,
            throttled: None,
            topic_records: Some(20),
            skipped_records: None,
            foreign_answers: 0,
            start_delays_micros: vec![start_delay_micros],
        }
    }

    #[test]
    fn a_sum_has_the_counts_and_latencies_of_all_producers() {
        let sum = Sum::of(vec![part(0, 40), part(1, 10)]).unwrap();
        assert_eq!((sum.tally.counts.scheduled, sum.tally.counts.lost, sum.latency().count), (20, 1, 19));
        assert_eq!((sum.start_skew_micros(), sum.measured), (30, TICK * 10));
        assert_eq!((sum.intervals.total().scheduled, sum.intervals.total().answered), (20, 19));
        assert_eq!(sum.in_a_sentence(TICK * 300), "20 images, of which 1 were lost; p95 10ms");
    }

    #[test]
    fn a_percentile_that_falls_on_lost_images_is_longer_than_anybody_waited() {
        let sum = Sum::of(vec![part(2, 0)]).unwrap();
        assert_eq!(sum.in_a_sentence(TICK * 300), "10 images, of which 2 were lost; p95 >30s");
    }

    #[test]
    fn records_of_the_topic_beyond_the_own_ones_are_foreign() {
        assert_eq!(Sum::of(vec![part(0, 0), part(0, 0)]).unwrap().foreign_images(), None);
        assert_eq!(Sum::of(vec![part(0, 0)]).unwrap().foreign_images(), Some(10));
    }

    #[test]
    fn nothing_adds_up_to_nothing() {
        let sum = Sum::of(vec![]).unwrap();
        assert_eq!((sum.tally.counts.scheduled, sum.latency().p95), (0, None));
    }
}
