//! An image that waits to be classified, and who asks for it.

use std::time::{Duration, Instant};

use tailrace_classifier::{DecodeError, Model, Pixels, Probabilities};
use tailrace_wire::{EventError, Label};

/// An image in the queue: a record of Kafka's, or what came over HTTP.
pub trait Job: Send {
    /// When it came to this process.
    fn arrived(&self) -> Instant;

    /// Its pixels.
    ///
    /// # Errors
    /// [`Unclassified`] when its bytes are no image.
    fn decode(&self) -> Result<Pixels, Unclassified>;

    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;

    /// Hands the answer over.
    ///
    /// # Errors
    /// When this process cannot go on, because nothing that it answers arrives.
    fn answer(self: Box<Self>, outcome: Result<Probabilities, Unclassified>, timing: Timing) -> anyhow::Result<()>;
}

/// Why an image has no label.
#[derive(Debug, thiserror::Error)]
pub enum Unclassified {
    /// Its bytes are no image.
    #[error(transparent)]
    Undecodable(#[from] DecodeError),
    /// It came without an image.
    #[error(transparent)]
    NoImage(#[from] EventError),
    /// Its bytes made the decoder panic.
    #[error("the decoder fails on these bytes: send another file")]
    DecoderPanicked,
    /// The network could not be computed.
    #[error("{0}")]
    Failed(String),
}

/// Where the time of an image went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From its arrival to the start of its batch.
    pub queue: Duration,
    /// Decoding and classifying its batch.
    pub compute: Duration,
}

impl Timing {
    /// [`Timing::queue`] in whole microseconds.
    pub fn queue_micros(&self) -> u64 {
        micros(self.queue)
    }

    /// [`Timing::compute`] in whole microseconds.
    pub fn compute_micros(&self) -> u64 {
        micros(self.compute)
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros().try_into().unwrap_or(u64::MAX)
}

/// The likeliest class of an image.
pub fn label(model: &Model, probabilities: &Probabilities) -> Label {
    let (index, confidence) = probabilities.best_first().first().copied().unwrap_or_default();
    Label {
        label: model.labels().get(index).map(ToString::to_string).unwrap_or_default(),
        index,
        confidence,
        model: model.name().to_owned(),
        model_sha256: model.sha256().to_owned(),
    }
}
