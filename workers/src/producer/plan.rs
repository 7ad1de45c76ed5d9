//! What one producer is to do.

use std::time::Duration;

use tailrace_measure::schedule::Schedule;

/// When images are to be sent. All times count from the common start.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What decides when the next image is sent.
    pub load: Load,
    /// How long load runs before it is measured.
    pub warmup: Duration,
    /// How long load is measured.
    pub duration: Duration,
    /// How long answers are waited for.
    pub drain: Duration,
}

/// What decides when the next image is sent.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// The schedule alone.
    Open(Schedule),
    /// The answers.
    Closed(Closed),
}

/// So many images wait for their answers; each answer is followed by another image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Images that are sent and not answered.
    pub outstanding: u32,
    /// From an answer to the image that follows it.
    pub think_time: Duration,
}

impl Plan {
    /// No image is intended for this time or later.
    pub fn end(&self) -> Duration {
        self.warmup + self.duration
    }

    /// Nothing is waited for any more.
    pub fn drain_end(&self) -> Duration {
        self.end() + self.drain
    }

    /// How many images will be scheduled; none if the answers decide.
    pub fn images(&self) -> Option<u64> {
        match self.load {
            Load::Open(schedule) => Some(schedule.count_before(self.end())),
            Load::Closed(_) => None,
        }
    }
}
