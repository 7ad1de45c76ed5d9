//! When images are sent.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::validity::Target;

/// When images are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// On a schedule that does not wait for answers.
    Open {
        /// Images per second of each producer.
        rate_per_producer: u32,
        /// How the images of a producer follow each other.
        arrivals: Arrivals,
    },
    /// The next image is sent after an answer, so that a slow Pipeline gets less load and waiting stays hidden.
    Closed {
        /// Images of each producer that wait for their answers at the same time.
        outstanding: u32,
        /// From an answer to the image that follows it.
        think_time: Duration,
    },
}

/// How images follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Arrivals {
    /// At even intervals.
    #[default]
    Constant,
    /// At random and independently of each other, as from many cameras together: a Poisson process with the rate as its
    /// mean. The times follow from `dataset.seed`.
    Poisson,
}

impl Load {
    /// Whether waiting is hidden.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// Images per second of all producers together; absent for a closed load.
    pub fn images_per_second(&self, producers: u32) -> Option<u64> {
        match self {
            Self::Open { rate_per_producer, .. } => Some(u64::from(*rate_per_producer) * u64::from(producers)),
            Self::Closed { .. } => None,
        }
    }

    /// The target of all producers together; absent for a closed load.
    pub fn target(&self, producers: u32) -> Option<Target> {
        match self {
            Self::Open { arrivals: Arrivals::Poisson, .. } => Some(Target::Scheduled),
            _ => self.images_per_second(producers).map(Target::PerSecond),
        }
    }

    /// The load of so many producers, in words.
    pub fn of(&self, producers: u32) -> String {
        let each = if producers == 1 { "1 producer".to_owned() } else { format!("each of {producers} producers") };
        format!("{self} from {each}")
    }
}

/// The load of one producer.
impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { rate_per_producer, arrivals: Arrivals::Constant } => {
                write!(f, "open load: {rate_per_producer} images/s")
            }
            Self::Open { rate_per_producer, arrivals: Arrivals::Poisson } => {
                write!(f, "open load: {rate_per_producer} images/s (Poisson)")
            }
            Self::Closed { outstanding, think_time } => {
                let images = if *outstanding == 1 { "image" } else { "images" };
                write!(f, "closed load, which hides waiting: {outstanding} {images} outstanding")?;
                if think_time.is_zero() { Ok(()) } else { write!(f, " and {think_time:?} of think time") }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_says_what_it_is_and_a_closed_one_what_it_hides() {
        let open = |arrivals| Load::Open { rate_per_producer: 20, arrivals };
        assert_eq!(open(Arrivals::Constant).of(5), "open load: 20 images/s from each of 5 producers");
        assert_eq!(open(Arrivals::Poisson).of(1), "open load: 20 images/s (Poisson) from 1 producer");
        let closed = |outstanding, millis| Load::Closed { outstanding, think_time: Duration::from_millis(millis) };
        assert_eq!(
            closed(1, 0).of(3),
            "closed load, which hides waiting: 1 image outstanding from each of 3 producers"
        );
        assert_eq!(
            closed(4, 100).of(1),
            "closed load, which hides waiting: 4 images outstanding and 100ms of think time from 1 producer"
        );
    }

    #[test]
    fn producers_of_an_open_load_have_a_target_together_and_those_of_a_closed_one_none() {
        let open = |arrivals| Load::Open { rate_per_producer: 20, arrivals };
        assert_eq!(open(Arrivals::Constant).target(5), Some(Target::PerSecond(100)));
        assert_eq!(open(Arrivals::Poisson).target(5), Some(Target::Scheduled));
        assert_eq!(open(Arrivals::Poisson).images_per_second(5), Some(100));
        let closed = Load::Closed { outstanding: 1, think_time: Duration::ZERO };
        assert_eq!((closed.target(5), closed.images_per_second(5)), (None, None));
    }
}
