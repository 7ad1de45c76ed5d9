//! What the db-consumer counts.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

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
}

impl Metrics {
    /// All of them under their names.
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("tailrace_archive");
        registry.register("records", "Records taken from Kafka, by topic and outcome", self.records.clone());
        registry.register("failures", "Batches that the database did not take at once", self.failures.clone());
        registry
    }

    /// Records of a topic are done.
    pub fn records(&self, topic: &str, outcome: Outcome, count: usize) {
        self.records.get_or_create(&Labels { topic: topic.to_owned(), outcome }).inc_by(count as u64);
    }

    /// The database did not take a batch.
    pub fn failure(&self) {
        self.failures.inc();
    }
}
