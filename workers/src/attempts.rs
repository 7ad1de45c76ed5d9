//! Trying again what may succeed by waiting: to a deadline, with pauses at random, and with a reason.

use std::{
    fmt::Display,
    thread,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;

/// How long the first attempt may take; each further one may take twice as long as the one before, so that what is only
/// slow succeeds, too.
const FIRST_LIMIT: Duration = Duration::from_secs(2);
/// How long an attempt may take at most.
const LONGEST_LIMIT: Duration = Duration::from_secs(15);

/// Why an attempt failed.
pub trait Obstacle: Display {
    /// One word for it.
    fn reason(&self) -> &'static str;

    /// What is waited for, in one sentence without a time, so that it stays the same while nothing changes.
    fn waiting_for(&self) -> String {
        self.to_string()
    }

    /// Whether it may pass by itself.
    fn can_heal(&self) -> bool;
}

/// Until when something is tried, and who is told why it must be tried again.
pub struct Attempts<'a> {
    deadline: Option<Instant>,
    stop: &'a CancellationToken,
    tell: &'a dyn Fn(&dyn Obstacle),
}

impl<'a> Attempts<'a> {
    /// Until `deadline`, if there is one, or `stop`.
    pub fn new(deadline: Option<Instant>, stop: &'a CancellationToken, tell: &'a dyn Fn(&dyn Obstacle)) -> Self {
        Self { deadline, stop, tell }
    }

    /// Calls `attempt` with the time that it may take until it succeeds, at least once unless asked to stop; none if
    /// asked to stop before it did.
    ///
    /// # Errors
    /// The last one, when the time is up; one that cannot heal at once.
    pub fn until_done<T, E: Obstacle>(
        &self,
        mut attempt: impl FnMut(Duration) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let (mut backoff, mut limit) = (Backoff::new(Duration::from_millis(100), Duration::from_secs(1)), FIRST_LIMIT);
        while !self.stop.is_cancelled() {
            let obstacle = match attempt(limit.min(self.left())) {
                Ok(done) => return Ok(Some(done)),
                Err(obstacle) => obstacle,
            };
            let delay = backoff.delay();
            if !obstacle.can_heal() || self.left() <= delay {
                return Err(obstacle);
            }
            (self.tell)(&obstacle);
            thread::sleep(delay);
            limit = LONGEST_LIMIT.min(limit * 2);
        }
        Ok(None)
    }

    fn left(&self) -> Duration {
        self.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("attempt {number} failed")]
    struct Failed {
        number: u32,
        can_heal: bool,
    }

    impl Obstacle for Failed {
        fn reason(&self) -> &'static str {
            "Failed"
        }

        fn can_heal(&self) -> bool {
            self.can_heal
        }
    }

    /// What came of it and what was told, if attempt `last` is the first that does not fail.
    fn tried(
        last: u32,
        can_heal: bool,
        patience: Duration,
        stop: &CancellationToken,
    ) -> (Result<Option<u32>, Failed>, Vec<String>) {
        let told = RefCell::new(vec![]);
        let tell = |obstacle: &dyn Obstacle| told.borrow_mut().push(obstacle.waiting_for());
        let mut number = 0;
        let outcome = Attempts::new(Some(Instant::now() + patience), stop, &tell).until_done(|_| {
            number += 1;
            if number == last { Ok(number) } else { Err(Failed { number, can_heal }) }
        });
        (outcome, told.into_inner())
    }

    #[test]
    fn what_may_heal_is_tried_again_and_told() {
        let (outcome, told) = tried(3, true, Duration::from_secs(60), &CancellationToken::new());
        assert_eq!(outcome, Ok(Some(3)));
        assert_eq!(told, ["attempt 1 failed", "attempt 2 failed"]);
    }

    #[test]
    fn what_cannot_heal_is_tried_once() {
        let (outcome, told) = tried(3, false, Duration::from_secs(60), &CancellationToken::new());
        assert_eq!(outcome, Err(Failed { number: 1, can_heal: false }));
        assert!(told.is_empty());
    }

    #[test]
    fn the_time_is_kept_and_the_last_reason_returned() {
        let (outcome, told) = tried(u32::MAX, true, Duration::from_secs(1), &CancellationToken::new());
        let number = outcome.unwrap_err().number;
        assert_eq!(told.len() + 1, number as usize);
        assert!(number > 1);
    }

    #[test]
    fn nothing_is_tried_once_asked_to_stop() {
        let stop = CancellationToken::new();
        stop.cancel();
        assert_eq!(tried(1, true, Duration::from_secs(60), &stop), (Ok(None), vec![]));
    }
}
