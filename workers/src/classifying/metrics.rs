//! What the classifier counts.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use tailrace_classifier::Probabilities;

use super::job::Unclassified;

/// What became of an image.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub enum Outcome {
    /// It has a label.
    Classified,
    /// Its bytes are no image.
    Undecodable,
    /// The network could not be computed.
    Failed,
    /// Nobody waited for it any more, so it was not computed.
    Abandoned,
}

impl Outcome {
    pub fn of(outcome: &Result<Probabilities, Unclassified>) -> Self {
        match outcome {
            Ok(_) => Self::Classified,
            Err(Unclassified::Failed(_)) => Self::Failed,
            Err(_) => Self::Undecodable,
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    outcome: Outcome,
}

/// Counters and histograms; clones count together.
#[derive(Clone)]
pub struct Metrics {
    images: Family<Labels, Counter>,
    batch: Histogram,
    queue: Histogram,
    compute: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        // 50 us to 1.6 s.
        let durations = || Histogram::new(exponential_buckets(0.000_05, 2.0, 16));
        Self {
            images: Family::default(),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            queue: durations(),
            compute: durations(),
        }
    }
}

impl Metrics {
    /// All of them under their names.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("images", "Images taken from Kafka and over HTTP, by outcome", self.images.clone());
        registry.register("batch_images", "Images classified together", self.batch.clone());
        registry.register_with_unit(
            "queue",
            "From arrival to the start of the batch",
            Unit::Seconds,
            self.queue.clone(),
        );
        registry.register_with_unit("compute", "Decoding and classifying a batch", Unit::Seconds, self.compute.clone());
    }

    /// An image has left the queue.
    pub fn image(&self, outcome: Outcome, queued: Duration) {
        self.images.get_or_create(&Labels { outcome }).inc();
        self.queue.observe(queued.as_secs_f64());
    }

    /// A batch is computed.
    pub fn batch(&self, images: usize, computed: Duration) {
        self.batch.observe(images as f64);
        self.compute.observe(computed.as_secs_f64());
    }
}
