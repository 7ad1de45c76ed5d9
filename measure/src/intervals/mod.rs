//! A measurement second by second: neighbours in time are not independent, and a sum does not show a trend.

mod buckets;
mod log;

use std::time::Duration;

pub use buckets::Buckets;
pub use log::{Files, ReadError};

/// So many intervals are kept at most: one second each up to ten minutes, then longer ones.
pub const MOST_INTERVALS: u64 = 600;

/// The intervals of one measurement, all of the same length; the last one may be cut short by the measurement's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervals {
    length: Duration,
    list: Vec<Interval>,
}

/// What happened in one interval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Images that were to be sent in it.
    pub scheduled: u64,
    /// Images of the measurement that were answered in it, whenever they were sent, with a label or with an error.
    pub answered: u64,
    /// Latencies of the images that were to be sent in it, whenever they were answered.
    pub latency: Buckets,
}

/// Two measurements do not have the same intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} intervals of {1:?} cannot be added to {2} of {3:?}")]
pub struct OtherIntervals(usize, Duration, usize, Duration);

impl Intervals {
    /// Empty intervals of a measurement of this length: of one second each, or of as many whole seconds as
    /// [`MOST_INTERVALS`] want.
    pub fn new(measurement: Duration) -> Self {
        let seconds = measurement.as_secs() + u64::from(measurement.subsec_nanos() > 0);
        let length = seconds.div_ceil(MOST_INTERVALS).max(1);
        let count = seconds.div_ceil(length).max(1);
        Self::of(Duration::from_secs(length), vec![Interval::default(); usize::try_from(count).unwrap_or(1)])
    }

    /// Intervals that have been measured already.
    pub fn of(length: Duration, list: Vec<Interval>) -> Self {
        Self { length: length.max(Duration::from_secs(1)), list }
    }

    /// The length of each.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// They, in the order of time.
    pub fn list(&self) -> &[Interval] {
        &self.list
    }

    /// All of them in one.
    pub fn total(&self) -> Interval {
        let mut sum = Interval::default();
        self.list.iter().for_each(|interval| sum.add(interval));
        sum
    }

    /// An image was to be sent at `intended`, counted from the beginning of the measurement.
    pub fn count_scheduled(&mut self, intended: Duration) {
        if let Some(interval) = self.at(intended) {
            interval.scheduled += 1;
        }
    }

    /// An image that was to be sent at `intended` was answered at `at`; its latency if that is finite. What is answered
    /// after the end of the measurement is answered in no interval: the last one may be longer, so for that `at` is none.
    /// What is above one hour is in no histogram.
    pub fn record(&mut self, intended: Duration, at: impl Into<Option<Duration>>, latency: Option<Duration>) {
        if let Some(interval) = at.into().and_then(|at| self.at(at)) {
            interval.answered += 1;
        }
        let micros = latency.map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        if let (Some(interval), Some(micros)) = (self.at(intended), micros) {
            let _ = interval.latency.record(micros);
        }
    }

    /// Adds what another producer has measured at the same time. The finer intervals are merged until both are of the
    /// same length.
    ///
    /// # Errors
    /// [`OtherIntervals`] if they are not those of a measurement of the same length.
    pub fn add(&mut self, mut other: Self) -> Result<(), OtherIntervals> {
        while self.length < other.length {
            self.coarsen();
        }
        while other.length < self.length {
            other.coarsen();
        }
        if self.length != other.length || self.list.len() != other.list.len() {
            return Err(OtherIntervals(other.list.len(), other.length, self.list.len(), self.length));
        }
        for (sum, interval) in self.list.iter_mut().zip(&other.list) {
            sum.add(interval);
        }
        Ok(())
    }

    /// Merges each two neighbours, so that there are half as many.
    pub fn coarsen(&mut self) {
        let pairs = self.list.chunks(2).map(|pair| {
            let mut sum = Interval::default();
            pair.iter().for_each(|interval| sum.add(interval));
            sum
        });
        self.list = pairs.collect();
        self.length *= 2;
    }

    /// Keeps what lies before `end`, where a measurement was ended early.
    pub fn truncate(&mut self, end: Duration) {
        let whole = end.as_nanos().div_ceil(self.length.as_nanos());
        self.list.truncate(usize::try_from(whole).unwrap_or(usize::MAX).max(1));
    }

    fn at(&mut self, time: Duration) -> Option<&mut Interval> {
        let index = time.as_nanos() / self.length.as_nanos();
        self.list.get_mut(usize::try_from(index).ok()?)
    }
}

impl Interval {
    fn add(&mut self, other: &Self) {
        self.scheduled += other.scheduled;
        self.answered += other.answered;
        self.latency += &other.latency;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn there_is_one_a_second_up_to_ten_minutes_and_never_more_than_six_hundred() {
        let shape = |seconds: f64| {
            let intervals = Intervals::new(Duration::from_secs_f64(seconds));
            (intervals.length().as_secs(), intervals.list().len())
        };
        assert_eq!(shape(1.0), (1, 1));
        assert_eq!(shape(19.5), (1, 20));
        assert_eq!(shape(600.0), (1, 600));
        assert_eq!(shape(601.0), (2, 301));
        assert_eq!(shape(86_400.0), (144, 600));
    }

    #[test]
    fn a_latency_belongs_to_the_second_of_the_intended_send_and_an_answer_to_its_own() {
        let mut intervals = Intervals::new(3 * SECOND);
        intervals.count_scheduled(SECOND / 2);
        intervals.record(SECOND / 2, SECOND * 3 / 2, Some(SECOND));
        intervals.count_scheduled(2 * SECOND);
        intervals.record(2 * SECOND, 4 * SECOND, Some(2 * SECOND));
        let seen: Vec<_> = intervals.list().iter().map(|i| (i.scheduled, i.answered, i.latency.count())).collect();
        assert_eq!(seen, [(1, 0, 1), (0, 1, 0), (1, 0, 1)]);
    }

    #[test]
    fn an_error_is_answered_and_has_no_latency() {
        let mut intervals = Intervals::new(SECOND);
        intervals.record(Duration::ZERO, SECOND / 2, None);
        assert_eq!((intervals.list()[0].answered, intervals.list()[0].latency.count()), (1, 0));
    }

    fn busy(seconds: u32) -> Intervals {
        let mut intervals = Intervals::new(seconds * SECOND);
        for second in 0..seconds {
            intervals.count_scheduled(second * SECOND);
            intervals.record(second * SECOND, second * SECOND, Some(Duration::from_millis(u64::from(second))));
        }
        intervals
    }

    #[test]
    fn neighbours_are_merged_and_nothing_is_lost() {
        let mut intervals = busy(5);
        intervals.coarsen();
        assert_eq!(intervals.length(), 2 * SECOND);
        let scheduled: Vec<_> = intervals.list().iter().map(|interval| interval.scheduled).collect();
        assert_eq!(scheduled, [2, 2, 1]);
        assert_eq!(intervals.list().iter().map(|interval| interval.latency.count()).sum::<u64>(), 5);
    }

    #[test]
    fn the_finer_of_two_is_merged_before_they_are_added() {
        let mut coarse = busy(5);
        coarse.coarsen();
        let mut fine = busy(5);
        fine.add(coarse.clone()).unwrap();
        coarse.add(busy(5)).unwrap();
        assert_eq!(fine, coarse);
        assert_eq!(fine.list()[0].scheduled, 4);
        assert!(busy(5).add(busy(6)).is_err());
    }

    #[test]
    fn what_comes_after_an_early_end_is_cut_off() {
        let mut intervals = busy(5);
        intervals.truncate(SECOND * 5 / 2);
        assert_eq!(intervals.list().len(), 3);
    }
}
