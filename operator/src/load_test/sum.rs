//! From the producers' reports to the sum of what they have measured.

use std::time::Duration;

use tailrace_crds::producer_report::{ProducerIntervals, ProducerResult};
use tailrace_measure::{
    accounting::Tally,
    histogram::{DecodeError, LatencyHistogram},
    intervals::{Buckets, Interval, Intervals, OtherIntervals},
    signed::unsigned,
    sum::Sum,
};

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

/// The sum over these producers.
///
/// # Errors
/// The first report that cannot be read.
pub fn sum(results: &[&ProducerResult]) -> Result<Sum, Unreadable> {
    let parts = results.iter().map(|result| part(result)).collect::<Result<_, _>>()?;
    Ok(Sum::of(parts)?)
}

fn part(result: &ProducerResult) -> Result<Sum, Unreadable> {
    Ok(Sum {
        warmup: result.warmup_messages,
        tally: tally(result)?,
        intervals: intervals(&result.intervals)?,
        measured: micros(result.measured_micros),
        throttled: result.throttled_micros.map(micros),
        topic_records: result.topic_records.map(unsigned),
        skipped_records: result.skipped_records.map(unsigned),
        foreign_answers: unsigned(result.foreign_answers),
        start_delays_micros: vec![result.start_delay_micros],
    })
}

/// Values above the histograms' range are known by the counts: there are fewer values than answers.
fn tally(result: &ProducerResult) -> Result<Tally, DecodeError> {
    Ok(Tally {
        counts: result.messages,
        correct: unsigned(result.correct),
        compared: unsigned(result.compared),
        latency: LatencyHistogram::decode(&result.latency)?,
        service_latency: LatencyHistogram::decode(&result.service_latency)?,
        send_delay: LatencyHistogram::decode(&result.send_delay)?,
        stages: result.stages.try_map(|text| LatencyHistogram::decode(text))?,
        above_range: 0,
    })
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(unsigned(micros))
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
