//! Whether a load was one that the Pipeline can keep up with.

use crate::{intervals::Intervals, sum::Sum};

/// With fewer intervals nothing is said.
const FEWEST_INTERVALS: usize = 20;
/// A backlog that grows by less than this share of the images is no matter.
const GROWTH_THAT_IS_NO_MATTER: f64 = 0.01;
/// One-sided 1 % of the standard normal distribution.
const SIGNIFICANT: f64 = 2.326;

/// A backlog that is larger at the end than so many times what it was in the first half has grown.
const GREW: f64 = 1.5;

/// How fast a backlog grew at the end of a measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Images that were scheduled and not answered at the end.
    pub backlog: i64,
    /// By how many images a second it grew over the second half.
    pub per_second: f64,
}

/// Whether the backlog still grew in the second half of the measurement, so that the percentiles depend on how long was
/// measured: it did if the trend is significant at 1 % by the test of Mann and Kendall (H. B. Mann, "Nonparametric tests
/// against trend", Econometrica 13, 1945) and its slope by P. K. Sen (1968) is more than 1 % of the rate of images.
pub fn growing_backlog(intervals: &Intervals) -> Option<Growth> {
    let list = intervals.list();
    if list.len() < FEWEST_INTERVALS {
        return None;
    }
    let backlog = backlog(intervals);
    let half = &backlog[backlog.len() / 2..];
    let images: u64 = list[backlog.len() / 2..].iter().map(|interval| interval.scheduled).sum();
    let slope = median_slope(half);
    let per_interval = images as f64 / half.len() as f64;
    let grows = mann_kendall(half) > SIGNIFICANT && slope > GROWTH_THAT_IS_NO_MATTER * per_interval;
    grows.then(|| Growth {
        backlog: backlog.last().copied().unwrap_or_default(),
        per_second: slope / intervals.length().as_secs_f64(),
    })
}

/// How many images waited at the end of the measurement, if that was more than a second's worth of the offered rate and
/// more than in its first half: then the percentiles depend on how long was measured, too, however short that was.
/// Images that got no answer in the drain time either are lost, and not waited for.
pub fn left_behind(sum: &Sum) -> Option<u64> {
    let counts = &sum.tally.counts;
    let waiting = sum.tally.backlog.images.min(counts.drained);
    let offered = counts.sent as f64 / sum.measured.as_secs_f64();
    let backlog = backlog(&sum.intervals);
    let mut before = backlog[..backlog.len() / 2].to_vec();
    before.sort_unstable();
    let median = before.get(before.len() / 2).copied().unwrap_or_default();
    (waiting as f64 > offered && waiting as f64 > GREW * median as f64).then_some(waiting)
}

/// Images scheduled and not answered at the end of each interval.
fn backlog(intervals: &Intervals) -> Vec<i64> {
    let mut waiting = 0;
    let step = |interval: &crate::intervals::Interval| {
        waiting += interval.scheduled.cast_signed() - interval.answered.cast_signed();
        waiting
    };
    intervals.list().iter().map(step).collect()
}

fn pairs(values: &[i64]) -> impl Iterator<Item = (usize, i64)> {
    (0..values.len()).flat_map(move |i| (i + 1..values.len()).map(move |j| (j - i, values[j] - values[i])))
}

/// The statistic, standard normal where there is no trend; ties are taken for no change.
fn mann_kendall(values: &[i64]) -> f64 {
    let n = values.len() as f64;
    let score: i64 = pairs(values).map(|(_, difference)| difference.signum()).sum();
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    (score - score.signum()) as f64 / deviation
}

/// The median of the slopes between all pairs.
fn median_slope(values: &[i64]) -> f64 {
    let mut slopes: Vec<f64> = pairs(values).map(|(distance, rise)| rise as f64 / distance as f64).collect();
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        accounting::{Answer, Ledger, Outcome, Windows},
        intervals::Interval,
    };

    /// So many images scheduled and answered in each second.
    fn seconds(answered: impl IntoIterator<Item = u64>) -> Intervals {
        let list = answered.into_iter().map(|answered| Interval { scheduled: 100, answered, ..Interval::default() });
        Intervals::of(Duration::from_secs(1), list.collect())
    }

    #[test]
    fn a_pipeline_that_falls_behind_is_seen() {
        let growth = growing_backlog(&seconds(vec![95; 30])).unwrap();
        assert_eq!((growth.backlog, growth.per_second.round()), (150, 5.0));
    }

    #[test]
    fn a_backlog_that_only_wavers_is_none() {
        let wavers = (0..60).map(|second| if second % 2 == 0 { 97 } else { 103 });
        assert_eq!(growing_backlog(&seconds(wavers)), None);
        assert_eq!(growing_backlog(&seconds(vec![100; 60])), None);
    }

    #[test]
    fn a_stall_that_is_caught_up_is_none() {
        let stalled = (0..60).map(|second| match second {
            10 | 11 => 0,
            12..22 => 120,
            _ => 100,
        });
        assert_eq!(growing_backlog(&seconds(stalled)), None);
    }

    #[test]
    fn a_growth_of_less_than_one_percent_is_no_matter() {
        let slow = (0..60).map(|second| if second % 4 == 0 { 99 } else { 100 });
        assert_eq!(growing_backlog(&seconds(slow)), None);
    }

    /// The outcome of `scheduled` images per second over `seconds`, answered in order at `capacity` per second and each
    /// after at least `latency`, until the end of a drain time of 30 s.
    fn queue(scheduled: u32, capacity: u32, latency: Duration, seconds: u32) -> Sum {
        let mut ledger = Ledger::new(Duration::ZERO, Duration::from_secs(seconds.into()));
        let drain_end = Duration::from_secs((seconds + 30).into());
        let mut answers = vec![];
        for number in 0..scheduled * seconds {
            let at = Duration::from_secs(1) * number / scheduled;
            let sequence = ledger.send(at, at);
            ledger.acknowledged(sequence, at);
            answers.push((sequence, (Duration::from_secs(1) * number / capacity).max(at) + latency));
        }
        for (sequence, at) in answers.into_iter().filter(|(_, at)| *at < drain_end) {
            ledger.answered(sequence, at, Answer { outcome: Outcome::Correct, queue: at, compute: at });
        }
        let Windows { measurement: tally, intervals, .. } = ledger.finish().0;
        let measured = Duration::from_secs(seconds.into());
        Sum { tally, intervals, measured, ..Sum::of(vec![]).unwrap() }
    }

    #[test]
    fn more_than_is_answered_is_unstable_however_short_the_measurement() {
        let behind = |seconds| left_behind(&queue(1_233, 881, Duration::from_millis(20), seconds));
        for seconds in [5, 10, 30] {
            let waiting = behind(seconds).unwrap_or_default();
            let expected = u64::from(352 * seconds);
            assert!(
                (expected..expected + 30).contains(&waiting),
                "{waiting} of {expected} that are not answered in time"
            );
        }
        assert_eq!(behind(2), None, "less than a second's worth");
    }

    #[test]
    fn a_backlog_that_does_not_grow_is_only_a_long_latency() {
        assert_eq!(left_behind(&queue(100, 200, Duration::from_secs(3), 30)), None);
        assert_eq!(left_behind(&queue(100, 99, Duration::from_millis(20), 30)), None, "less than a second's worth");
        assert_eq!(left_behind(&Sum::of(vec![]).unwrap()), None);
    }

    #[test]
    fn what_is_lost_is_not_waited_for() {
        let lost = queue(100, 100, Duration::from_secs(40), 30);
        assert_eq!((lost.tally.backlog.images, lost.tally.counts.drained), (3_000, 2_000));
        let none = queue(100, 100, Duration::from_secs(90), 30);
        assert_eq!((none.tally.backlog.images, left_behind(&none)), (3_000, None));
    }

    #[test]
    fn of_a_short_measurement_nothing_is_said() {
        assert_eq!(growing_backlog(&seconds(vec![50; 19])), None);
    }
}
