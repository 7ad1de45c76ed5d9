use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::{
    intervals::{Interval, Intervals},
    summary::rank,
};

/// So often a measurement is drawn anew.
pub(super) const REPLICATES: usize = 1_000;
/// With fewer intervals their blocks say nothing about how the next ones would have been.
pub const FEWEST_INTERVALS: usize = 20;
/// The quantiles of each replicate, in permille.
pub(super) const QUANTILES: [u64; 4] = [500, 900, 950, 990];

/// The quantiles of a measurement drawn anew many times, in microseconds; infinite where they fall on images without an
/// answer. One list for each of [`QUANTILES`], in the order of the draws.
pub(super) type Replicates = [Vec<f64>; QUANTILES.len()];

/// Draws whole blocks of neighbouring intervals, with replacement, from a measurement bent to a circle, until it is as
/// long as before: the circular block bootstrap (D. N. Politis and J. P. Romano, "A circular block-resampling procedure
/// for stationary data", 1992). Blocks are ⌈n^⅓⌉ intervals long, the rate at which the variance is estimated best
/// (P. Hall, J. L. Horowitz and B.-Y. Jing, "On blocking rules for the bootstrap with dependent data", Biometrika 82,
/// 1995). The same intervals and seed give the same replicates. None if there are fewer than [`FEWEST_INTERVALS`].
pub(super) fn replicates(intervals: &Intervals, seed: u64) -> Option<Replicates> {
    let list = intervals.list();
    if list.len() < FEWEST_INTERVALS {
        return None;
    }
    let columns = Columns::of(list);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut replicates: Replicates = Default::default();
    for _ in 0..REPLICATES {
        let quantiles = columns.quantiles(&draw(list.len(), &mut random));
        replicates.iter_mut().zip(quantiles).for_each(|(list, quantile)| list.push(quantile));
    }
    Some(replicates)
}

/// How often each of `count` intervals is drawn.
fn draw(count: usize, random: &mut ChaCha8Rng) -> Vec<u64> {
    let block = (count as f64).cbrt().ceil() as usize;
    let (mut times, mut drawn) = (vec![0; count], 0);
    while drawn < count {
        let first = random.random_range(0..count);
        let length = block.min(count - drawn);
        (first..first + length).for_each(|index| times[index % count] += 1);
        drawn += length;
    }
    times
}

/// The intervals as a table with a row for each interval and a column for each bucket that is used at all.
struct Columns {
    micros: Vec<u64>,
    rows: Vec<Row>,
}

struct Row {
    scheduled: u64,
    /// The number of a column, and how many values are in it.
    counts: Vec<(usize, u64)>,
}

impl Columns {
    fn of(list: &[Interval]) -> Self {
        let mut micros: Vec<u64> =
            list.iter().flat_map(|interval| interval.latency.iter().map(|(micros, _)| micros)).collect();
        micros.sort_unstable();
        micros.dedup();
        let column = |value| micros.binary_search(&value).unwrap_or_default();
        let row = |interval: &Interval| Row {
            scheduled: interval.scheduled,
            counts: interval.latency.iter().map(|(micros, count)| (column(micros), count)).collect(),
        };
        let rows = list.iter().map(row).collect();
        Self { micros, rows }
    }

    fn quantiles(&self, times: &[u64]) -> [f64; QUANTILES.len()] {
        let (mut counts, mut scheduled) = (vec![0; self.micros.len()], 0);
        for (row, times) in self.rows.iter().zip(times).filter(|(_, times)| **times > 0) {
            scheduled += times * row.scheduled;
            row.counts.iter().for_each(|(column, count)| counts[*column] += times * count);
        }
        let mut running = 0;
        let sums: Vec<u64> = counts
            .into_iter()
            .map(|count| {
                running += count;
                running
            })
            .collect();
        let total = scheduled.max(running);
        QUANTILES.map(|permille| {
            let column = sums.partition_point(|sum| *sum < rank(total, permille));
            self.micros.get(column).map_or(f64::INFINITY, |micros| *micros as f64)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_intervals_are_drawn_as_there_are_and_in_blocks() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for count in [20, 60, 61, 600] {
            assert_eq!(draw(count, &mut random).iter().sum::<u64>(), count as u64);
        }
    }

    #[test]
    fn drawing_every_interval_once_gives_the_quantiles_of_the_sum() {
        let mut intervals = Intervals::new(Duration::from_secs(20));
        for millis in 0..20_000 {
            let intended = Duration::from_millis(millis);
            intervals.count_scheduled(intended);
            // The last 200 of 20,000 are lost: 1 %, so the p99 is just still there.
            let latency = (millis < 19_800).then(|| Duration::from_micros(millis));
            intervals.record(intended, intended, latency);
        }
        let quantiles = Columns::of(intervals.list()).quantiles(&[1; 20]);
        let exact = [9_999.0, 17_999.0, 18_999.0, 19_799.0];
        for (found, exact) in quantiles.into_iter().zip(exact) {
            assert!(found >= exact && found <= exact * 1.001, "{found} for {exact}");
        }
    }

    #[test]
    fn of_a_short_measurement_there_are_none() {
        assert!(replicates(&Intervals::new(Duration::from_secs(19)), 1).is_none());
    }
}
