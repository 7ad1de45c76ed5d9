//! One monotonic clock for everything that is measured.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Sleeping ends this long before the time, since a sleeper wakes up late by some 60 µs; the rest is spun.
const SPIN: Duration = Duration::from_micros(100);
/// A start further ahead than this means that clocks disagree.
const FURTHEST_START: Duration = Duration::from_secs(120);

/// Time since the common start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

/// The start lies so far ahead that a clock must be wrong.
#[derive(Debug, thiserror::Error)]
#[error("the start is {} s ahead by this node's clock: set the clocks of the nodes, for instance by NTP", .0.as_secs())]
pub struct TooFarAhead(Duration);

impl Clock {
    /// The clock whose zero is `start`, which is converted to the monotonic clock here, once. A start that has passed
    /// already is now.
    ///
    /// # Errors
    /// A start more than two minutes ahead.
    pub fn starting_at(start: Timestamp) -> Result<Self, TooFarAhead> {
        let ahead = Duration::try_from(start.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO);
        if ahead > FURTHEST_START {
            return Err(TooFarAhead(ahead));
        }
        Ok(Self { start: Instant::now() + ahead })
    }

    /// The time since the start; zero before it.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns at `time`, late by a few microseconds on an idle machine. At most 100 µs are spun.
    pub fn sleep_until(&self, time: Duration) {
        let due = self.start + time;
        let left = due.saturating_duration_since(Instant::now());
        if left > SPIN {
            std::thread::sleep(left - SPIN);
        }
        while Instant::now() < due {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    #[test]
    fn sleeping_never_ends_early() {
        let clock = Clock::starting_at(Timestamp::now()).unwrap();
        for millis in [0, 1, 5, 5, 20] {
            clock.sleep_until(Duration::from_millis(millis));
            assert!(clock.now() >= Duration::from_millis(millis));
        }
    }

    #[test]
    fn a_start_ahead_is_waited_for_and_one_that_has_passed_is_now() {
        let ahead = Clock::starting_at(Timestamp::now() + 50.milliseconds()).unwrap();
        assert_eq!(ahead.now(), Duration::ZERO);
        ahead.sleep_until(Duration::ZERO);
        let passed = Clock::starting_at(Timestamp::now() - 1.hour()).unwrap();
        assert!(passed.now() < Duration::from_secs(1));
    }

    #[test]
    fn a_start_an_hour_ahead_is_refused_with_what_to_do() {
        let refused = Clock::starting_at(Timestamp::now() + 1.hour()).unwrap_err().to_string();
        assert!(refused.contains("set the clocks"), "{refused}");
    }
}
