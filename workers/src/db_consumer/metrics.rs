//! What the db-consumer counts.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tailrace_crds::pipeline::VolumeUse;

/// What became of a record.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub enum Outcome {
    /// It is in the database.
    Stored,
    /// It was there already.
    Duplicate,
    /// It cannot be stored and is on the dead-letter topic.
    DeadLettered,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    topic: String,
    outcome: Outcome,
}

/// Counters; clones count together.
#[derive(Clone, Default)]
pub struct Metrics {
    records: Family<Labels, Counter>,
    failures: Counter,
    used: Gauge,
    capacity: Gauge,
}

impl Metrics {
    /// All of them under their names.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("tailrace_archive");
        registry.register("records", "Records taken from Kafka, by topic and outcome", self.records.clone());
        registry.register("database_used_bytes", "Bytes in use where the database keeps its files", self.used.clone());
        registry.register(
            "database_capacity_bytes",
            "Bytes in all where the database keeps its files; 0 where it does not say",
            self.capacity.clone(),
        );
        registry.register("failures", "Batches that the database did not take at once", self.failures.clone());
    }

    /// Records of a topic are done.
    pub fn records(&self, topic: &str, outcome: Outcome, count: usize) {
        self.records.get_or_create(&Labels { topic: topic.to_owned(), outcome }).inc_by(count as u64);
    }

    /// The database did not take a batch.
    pub fn failure(&self) {
        self.failures.inc();
    }

    /// How full the database is.
    pub fn volume(&self, volume: &VolumeUse) {
        self.used.set(volume.used_bytes);
        self.capacity.set(volume.capacity_bytes.unwrap_or_default());
    }
}
