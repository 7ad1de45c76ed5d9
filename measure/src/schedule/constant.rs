use std::time::Duration;

use super::NoSchedule;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A constant rate. Producer i of N is shifted by i/(N·rate), so that the N streams together are one even stream.
///
/// ```
/// use std::time::Duration;
/// use tailrace_measure::schedule::Constant;
///
/// let second_of_two = Constant::new(10, 2, 1)?;
/// assert_eq!(second_of_two.offset(0), Duration::from_millis(50));
/// assert_eq!(second_of_two.offset(1), Duration::from_millis(150));
/// assert_eq!(second_of_two.count_before(Duration::from_secs(60)), 600);
/// # Ok::<(), tailrace_measure::schedule::NoSchedule>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constant {
    rate_per_second: u32,
    producers: u32,
    index: u32,
}

impl Constant {
    /// The schedule of producer `index`, from 0, of so many, each with this rate in images a second.
    ///
    /// # Errors
    /// A rate of 0, or an index that is not below the number of producers.
    pub fn new(rate_per_second: u32, producers: u32, index: u32) -> Result<Self, NoSchedule> {
        NoSchedule::check(rate_per_second, producers, index)?;
        Ok(Self { rate_per_second, producers, index })
    }

    /// When image `number`, from 0, is to be sent, after the start: (number·N + i)/(N·rate) seconds, rounded down to a
    /// nanosecond. Each is computed from the start, so that rounding errors do not add up.
    pub fn offset(&self, number: u64) -> Duration {
        let slot = u128::from(number) * u128::from(self.producers) + u128::from(self.index);
        let nanos = slot * NANOS_PER_SECOND / self.slots_per_second();
        let seconds = u64::try_from(nanos / NANOS_PER_SECOND).unwrap_or(u64::MAX);
        Duration::new(seconds, (nanos % NANOS_PER_SECOND) as u32)
    }

    /// How many images are to be sent before `end`, that is, how many offsets are smaller: rate·end if that is a whole
    /// number; if it is not, it is rounded down or up for this producer so that all producers' counts sum up to
    /// ⌈N·rate·end⌉.
    pub fn count_before(&self, end: Duration) -> u64 {
        // slot/(N·rate) < end, and slots are whole numbers.
        let slots = (end.as_nanos() * self.slots_per_second()).div_ceil(NANOS_PER_SECOND);
        let count = slots.saturating_sub(u128::from(self.index)).div_ceil(u128::from(self.producers));
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// All intended send times before `end`, in order.
    pub fn offsets_before(self, end: Duration) -> impl Iterator<Item = Duration> {
        (0..self.count_before(end)).map(move |number| self.offset(number))
    }

    fn slots_per_second(&self) -> u128 {
        u128::from(self.rate_per_second) * u128::from(self.producers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_do_not_drift() {
        let schedule = Constant::new(3, 1, 0).unwrap();
        assert_eq!(schedule.offset(1), Duration::from_nanos(333_333_333));
        assert_eq!(schedule.offset(3), Duration::from_secs(1));
        assert_eq!(schedule.offset(3 * 86_400), Duration::from_secs(86_400));
    }

    #[test]
    fn the_streams_of_all_producers_are_one_even_stream() {
        let mut all: Vec<Duration> = (0..5)
            .flat_map(|index| Constant::new(20, 5, index).unwrap().offsets_before(Duration::from_secs(1)))
            .collect();
        all.sort();
        let even: Vec<Duration> = (0..100).map(|slot| Duration::from_millis(slot * 10)).collect();
        assert_eq!(all, even);
    }

    #[test]
    fn a_window_that_ends_between_two_images_is_counted_exactly() {
        let count = |index| Constant::new(1, 2, index).unwrap().count_before(Duration::from_millis(1_500));
        assert_eq!((count(0), count(1)), (2, 1));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        assert_eq!(Constant::new(0, 1, 0), Err(NoSchedule::Rate));
        assert_eq!(Constant::new(1, 2, 2), Err(NoSchedule::Index { index: 2, producers: 2 }));
        assert_eq!(Constant::new(1, 0, 0), Err(NoSchedule::Index { index: 0, producers: 0 }));
    }
}
