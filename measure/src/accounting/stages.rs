use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{histogram::LatencyHistogram, summary::Summary};

/// The parts of the service latency, of the images that were answered with a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stages<T> {
    /// From the arrival of an image at the classifier to the start of its batch.
    pub queue: T,
    /// The time to decode and classify its batch.
    pub compute: T,
    /// From the actual send to Kafka's acknowledgement. The image is delivered to the classifier in the meantime, so this is
    /// a part of `rest`, or even ends after the answer.
    pub acknowledgement: T,
    /// The service latency minus queue and compute: Kafka and the network, in both directions.
    pub rest: T,
}

impl<T> Stages<T> {
    /// Something else of each stage.
    pub fn map<U>(&self, mut of: impl FnMut(&T) -> U) -> Stages<U> {
        Stages {
            queue: of(&self.queue),
            compute: of(&self.compute),
            acknowledgement: of(&self.acknowledgement),
            rest: of(&self.rest),
        }
    }

    /// The same of what may fail.
    ///
    /// # Errors
    /// The first one.
    pub fn try_map<U, E>(&self, mut of: impl FnMut(&T) -> Result<U, E>) -> Result<Stages<U>, E> {
        Ok(Stages {
            queue: of(&self.queue)?,
            compute: of(&self.compute)?,
            acknowledgement: of(&self.acknowledgement)?,
            rest: of(&self.rest)?,
        })
    }
}

impl Stages<LatencyHistogram> {
    /// Adds all values of the others.
    pub fn add(&mut self, other: &Self) {
        self.queue.add(&other.queue);
        self.compute.add(&other.compute);
        self.acknowledgement.add(&other.acknowledgement);
        self.rest.add(&other.rest);
    }

    /// Percentiles of each.
    pub fn summaries(&self) -> Stages<Summary> {
        self.map(Summary::of_values)
    }
}
