//! All producers' numbers together. Histograms are summed; percentiles are never averaged.

use std::time::Duration;

use tailrace_crds::{
    messages::unsigned,
    producer_report::{ProducerIntervals, ProducerResult, ProducerStages},
};
use tailrace_measure::{
    accounting::{Counts, Stages},
    histogram::{DecodeError, LatencyHistogram},
    intervals::{Buckets, Interval, Intervals, OtherIntervals},
};

/// All producers' numbers together.
pub struct Sum {
    /// The images of the measurement.
    pub messages: Counts,
    /// The images of the warm-up.
    pub warmup: Counts,
    /// Answers with the right label.
    pub correct: u64,
    /// Answers whose label was compared with the right one.
    pub compared: u64,
    /// How long was measured: as long as all producers did.
    pub measured: Duration,
    /// From the intended send to the answer.
    pub latency: LatencyHistogram,
    /// From the actual send to the answer.
    pub service_latency: LatencyHistogram,
    /// From the intended to the actual send.
    pub send_delay: LatencyHistogram,
    /// Where the service latency went.
    pub stages: Stages,
    /// The measurement second by second.
    pub intervals: Intervals,
    /// How long producers were kept from running by a CPU limit, together; none if none of them says.
    pub throttled: Option<Duration>,
    /// How many records the topic of the images got meanwhile, from all sources.
    pub topic_records: Option<u64>,
    /// Between the first and the last start.
    pub start_skew_micros: i64,
}

/// The report of a producer is not one.
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

impl Sum {
    /// The sum over these producers.
    ///
    /// # Errors
    /// The first report that cannot be read.
    pub fn of(results: &[&ProducerResult]) -> Result<Self, Unreadable> {
        let delays = || results.iter().map(|result| result.start_delay_micros);
        let measured = results.iter().map(|result| Duration::from_micros(unsigned(result.measured_micros))).min();
        let mut sum = Self {
            messages: Counts::default(),
            warmup: Counts::default(),
            correct: 0,
            compared: 0,
            measured: measured.unwrap_or_default(),
            latency: LatencyHistogram::new(),
            service_latency: LatencyHistogram::new(),
            send_delay: LatencyHistogram::new(),
            stages: Stages::default(),
            intervals: sum_of_intervals(results)?,
            throttled: results.iter().filter_map(|result| result.throttled_micros).map(micros).reduce(|a, b| a + b),
            topic_records: results.iter().filter_map(|result| result.topic_records).map(unsigned).max(),
            start_skew_micros: delays().max().unwrap_or(0).saturating_sub(delays().min().unwrap_or(0)),
        };
        results.iter().try_for_each(|result| sum.add(result))?;
        Ok(sum)
    }

    fn add(&mut self, result: &ProducerResult) -> Result<(), DecodeError> {
        self.messages += Counts::from(&result.messages);
        self.warmup += Counts::from(&result.warmup_messages);
        self.correct += unsigned(result.correct);
        self.compared += unsigned(result.compared);
        self.latency.add(&LatencyHistogram::decode(&result.latency)?);
        self.service_latency.add(&LatencyHistogram::decode(&result.service_latency)?);
        self.send_delay.add(&LatencyHistogram::decode(&result.send_delay)?);
        self.stages.add(&stages(&result.stages)?);
        Ok(())
    }
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(unsigned(micros))
}

fn stages(stages: &ProducerStages) -> Result<Stages, DecodeError> {
    Ok(Stages {
        queue: LatencyHistogram::decode(&stages.queue)?,
        compute: LatencyHistogram::decode(&stages.compute)?,
        acknowledgement: LatencyHistogram::decode(&stages.acknowledgement)?,
        rest: LatencyHistogram::decode(&stages.rest)?,
    })
}

/// Producers that were aborted ended at different times: what not all of them have measured is left out.
fn sum_of_intervals(results: &[&ProducerResult]) -> Result<Intervals, Unreadable> {
    let all = results.iter().map(|result| intervals(&result.intervals)).collect::<Result<Vec<_>, _>>()?;
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

fn intervals(reported: &ProducerIntervals) -> Result<Intervals, Unreadable> {
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
