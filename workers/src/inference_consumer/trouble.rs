//! Why an image has no reply.

use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::encoding::EncodeLabelValue;

/// A request that ended without a word about its image. To send the image again is always safe: a server only computes,
/// and keeps nothing of an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// There is no connection to be had.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It is shutting down, or no inference server at all.
    #[error("it answers with status {}", .0.as_u16())]
    Unavailable(StatusCode),
    /// Its queue is full.
    #[error("its queue is full")]
    Busy {
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The connection ended within the request, or what came was no answer.
    #[error("it broke off: {0}")]
    Broken(String),
    /// No answer came.
    #[error("it does not answer within {0:?}")]
    TimedOut(Duration),
}

/// The kind of a [`Trouble`], as the metrics name it.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub enum Reason {
    /// [`Trouble::Unreachable`].
    Unreachable,
    /// [`Trouble::Unavailable`].
    Unavailable,
    /// [`Trouble::Busy`].
    Busy,
    /// [`Trouble::Broken`].
    Broken,
    /// [`Trouble::TimedOut`].
    TimedOut,
}

impl Trouble {
    /// Its kind.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unreachable(_) => Reason::Unreachable,
            Self::Unavailable(_) => Reason::Unavailable,
            Self::Busy { .. } => Reason::Busy,
            Self::Broken(_) => Reason::Broken,
            Self::TimedOut(_) => Reason::TimedOut,
        }
    }

    /// Whether the image itself may be why.
    #[must_use]
    pub fn may_be_the_image(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::TimedOut(_))
    }
}
