//! How often an image is sent to the server, and when again.

use std::time::Duration;

use super::trouble::Trouble;
use crate::backoff::Backoff;

/// An image that went wrong so often, the last time alone with the server, is given up.
const MOST: u32 = 5;
/// The first and the longest pause before the next attempt.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];
/// The server may ask for no longer pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The attempts of one image that came to nothing.
pub struct Attempts {
    /// Those that the image may be at fault for.
    suspicious: u32,
    backoff: Backoff,
}

/// What to do after an attempt that came to nothing.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// To wait for so long, and try again.
    Wait(Duration),
    /// To answer with this sentence.
    GiveUp(String),
}

impl Attempts {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self { suspicious: 0, backoff: Backoff::new(PAUSES[0], PAUSES[1]) }
    }

    /// Whether the next attempt must be made while no other image is at the server: one that ends it takes others with
    /// it, and those are not to blame.
    #[must_use]
    pub fn next_is_alone(&self) -> bool {
        self.suspicious >= MOST - 1
    }

    /// An attempt came to nothing.
    pub fn failed(&mut self, trouble: &Trouble) -> Next {
        if trouble.may_be_the_image() {
            let alone = self.next_is_alone();
            self.suspicious += 1;
            if alone {
                return Next::GiveUp(format!(
                    "the inference server has no answer to this image in {} attempts, at the last of them {trouble}: \
                     send another file",
                    self.suspicious
                ));
            }
        }
        let delay = self.backoff.delay();
        Next::Wait(match trouble {
            Trouble::Busy { retry_after: Some(asked) } => delay + LONGEST_PAUSE.min(*asked),
            _ => delay,
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    fn broken() -> Trouble {
        Trouble::Broken("connection reset".to_owned())
    }

    #[test]
    fn an_image_that_breaks_the_connection_is_given_up_after_five_attempts_the_last_alone() {
        let mut attempts = Attempts::new();
        for _ in 0..3 {
            assert!(matches!(attempts.failed(&broken()), Next::Wait(_)));
            assert!(!attempts.next_is_alone());
        }
        assert!(matches!(attempts.failed(&Trouble::TimedOut(Duration::from_secs(5))), Next::Wait(_)));
        assert!(attempts.next_is_alone());
        assert_eq!(
            attempts.failed(&broken()),
            Next::GiveUp(
                "the inference server has no answer to this image in 5 attempts, at the last of them it broke off: \
                 connection reset: send another file"
                    .to_owned()
            )
        );
    }

    #[test]
    fn what_is_not_the_images_fault_never_gives_it_up() {
        let mut attempts = Attempts::new();
        (0..4).for_each(|_| drop(attempts.failed(&broken())));
        let others = [
            Trouble::Unreachable("connection refused".to_owned()),
            Trouble::Unavailable(StatusCode::SERVICE_UNAVAILABLE),
            Trouble::Busy { retry_after: None },
        ];
        for trouble in others.iter().cycle().take(100) {
            assert!(matches!(attempts.failed(trouble), Next::Wait(_)));
        }
    }

    #[test]
    fn the_server_may_ask_for_a_pause_within_bounds() {
        let pause =
            |asked| match Attempts::new().failed(&Trouble::Busy { retry_after: Some(Duration::from_secs(asked)) }) {
                Next::Wait(pause) => pause.as_secs(),
                Next::GiveUp(why) => panic!("{why}"),
            };
        assert_eq!((pause(1), pause(u64::MAX)), (1, LONGEST_PAUSE.as_secs()));
    }
}
