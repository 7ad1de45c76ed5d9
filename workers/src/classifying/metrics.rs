//! What the classifier counts.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

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
    totals: RunningTotals,
}

/// What was done since the start; clones count together.
#[derive(Clone, Debug, Default)]
pub struct RunningTotals(Arc<Mutex<Totals>>);

/// Sums of all images that were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Images with a label.
    pub images: u64,
    /// Images without one.
    pub failed: u64,
    /// How often the network was computed.
    pub batches: u64,
    /// What images with a label waited together, in nanoseconds.
    pub queue_nanos: u64,
    /// What their batches took, once for each image, in nanoseconds.
    pub compute_nanos: u64,
    /// When the last batch ended, in milliseconds since 1970; 0 if there was none.
    pub last_millis: i64,
}

impl RunningTotals {
    /// All of them at this moment.
    #[must_use]
    pub fn now(&self) -> Totals {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, change: impl FnOnce(&mut Totals)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
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
            totals: RunningTotals::default(),
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

    /// What was done since the start.
    pub fn totals(&self) -> RunningTotals {
        self.totals.clone()
    }

    /// An image has its outcome, given what its batch took.
    pub fn answered(&self, outcome: Outcome, queued: Duration, computed: Duration) {
        self.image(outcome, queued);
        self.totals.count(|totals| match outcome {
            Outcome::Classified => {
                totals.images += 1;
                totals.queue_nanos = totals.queue_nanos.saturating_add(nanos(queued));
                totals.compute_nanos = totals.compute_nanos.saturating_add(nanos(computed));
            }
            _ => totals.failed += 1,
        });
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
        self.totals.count(|totals| {
            totals.batches += 1;
            totals.last_millis = Timestamp::now().as_millisecond();
        });
    }
}
