//! What should be known before numbers are used, though they mean what they say.

use std::fmt;

use crate::{
    stability::{Growth, growing_backlog},
    sum::Sum,
};

/// Images still piled up at the end.
pub const UNSTABLE: &str = "Unstable";
/// The Pipeline had other images to classify, or shared a node with the producers.
pub const SHARED: &str = "Shared";

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Warning {
    /// The backlog grew to the end.
    Unstable(Growth),
    /// So many images of other sources went through the same topic.
    ForeignImages(u64),
}

/// What the numbers themselves tell.
pub fn warnings(sum: &Sum) -> Vec<Warning> {
    let unstable = growing_backlog(&sum.intervals).map(Warning::Unstable);
    unstable.into_iter().chain(sum.foreign_images().map(Warning::ForeignImages)).collect()
}

impl Warning {
    /// One word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unstable(_) => UNSTABLE,
            Self::ForeignImages(_) => SHARED,
        }
    }
}

/// One sentence.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unstable(Growth { backlog, per_second }) => write!(
                f,
                "images piled up to the end, by {per_second:.1} a second to {backlog}: the percentiles depend on how long was measured, so lower the rate"
            ),
            Self::ForeignImages(count) => write!(
                f,
                "the topic got {count} images of other sources during the run, which took their share of the Pipeline"
            ),
        }
    }
}
