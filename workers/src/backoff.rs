//! How long to wait before the next attempt.

use std::time::Duration;

/// Delays that double from `first` to `longest`, each shortened by up to a half at random, so that processes that
/// failed together do not come back together.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Begins at `first`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, first, longest }
    }

    /// The delay before the next attempt.
    pub fn delay(&mut self) -> Duration {
        let delay = self.next.mul_f64(rand::random_range(0.5..=1.0));
        self.next = self.longest.min(self.next * 2);
        delay
    }

    /// Begins again at the first delay.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_begin_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        let within = |delay: Duration, most: u64| {
            assert!(delay <= Duration::from_millis(most) && delay >= Duration::from_millis(most / 2), "{delay:?}");
        };
        for most in [100, 200, 350, 350] {
            within(backoff.delay(), most);
        }
        backoff.reset();
        within(backoff.delay(), 100);
    }
}
