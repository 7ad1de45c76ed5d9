//! When each image is to be sent. A schedule knows nothing of the system under test and never waits for it.

mod constant;
mod poisson;

use std::time::Duration;

pub use constant::Constant;
pub use poisson::Poisson;

/// When one producer sends, in an open load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At even intervals.
    Constant(Constant),
    /// At random, as independent sources together do.
    Poisson(Poisson),
}

impl Schedule {
    /// All intended send times before `end`, in order.
    pub fn offsets_before(self, end: Duration) -> Box<dyn Iterator<Item = Duration>> {
        match self {
            Self::Constant(schedule) => Box::new(schedule.offsets_before(end)),
            Self::Poisson(schedule) => Box::new(schedule.offsets_before(end)),
        }
    }

    /// How many images are to be sent before `end`.
    pub fn count_before(self, end: Duration) -> u64 {
        match self {
            Self::Constant(schedule) => schedule.count_before(end),
            Self::Poisson(schedule) => schedule.offsets_before(end).count() as u64,
        }
    }
}

/// No schedule can be made of these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSchedule {
    /// The rate is zero.
    #[error("a rate of 0 images a second sends nothing: write 1 or more")]
    Rate,
    /// The index is not one of the producers'.
    #[error("there is no producer {index} among {producers}: write an index from 0 to one less than the producers")]
    Index {
        /// The index, from 0.
        index: u32,
        /// How many producers there are.
        producers: u32,
    },
}

impl NoSchedule {
    fn check(rate_per_second: u32, producers: u32, index: u32) -> Result<(), Self> {
        if rate_per_second == 0 {
            return Err(Self::Rate);
        }
        if index >= producers {
            return Err(Self::Index { index, producers });
        }
        Ok(())
    }
}
