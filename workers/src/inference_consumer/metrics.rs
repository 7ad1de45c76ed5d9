//! What the bridge counts.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use super::{
    reply::Reply,
    trouble::{Reason, Trouble},
};

/// How a request ended.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
enum Outcome {
    Labelled,
    Refused,
    Failed,
    /// Without a reply.
    NoReply,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    outcome: Outcome,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Retried {
    reason: Reason,
}

/// Counters, a gauge and a histogram; clones count together.
#[derive(Clone)]
pub struct Metrics {
    /// Answers that Kafka acknowledged.
    pub answers: Counter,
    /// 1 while the breaker is open.
    pub breaker_open: Gauge,
    requests: Family<Ended, Counter>,
    retries: Family<Retried, Counter>,
    request: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            answers: Counter::default(),
            breaker_open: Gauge::default(),
            requests: Family::default(),
            retries: Family::default(),
            // 100 us to 6.5 s.
            request: Histogram::new(exponential_buckets(0.000_1, 2.0, 17)),
        }
    }
}

impl Metrics {
    /// All of them under their names.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("tailrace_inference_consumer");
        registry.register("answers", "Answers that Kafka acknowledged", self.answers.clone());
        registry.register("requests", "Requests to the inference server, by outcome", self.requests.clone());
        registry.register("retries", "Requests that are made again, by reason", self.retries.clone());
        registry.register("breaker_open", "1 while no image is sent to the server", self.breaker_open.clone());
        registry.register_with_unit("request", "A request and its reply", Unit::Seconds, self.request.clone());
    }

    /// A request has ended.
    pub fn request(&self, ended: &Result<Reply, Trouble>, took: Duration) {
        let outcome = match ended {
            Ok(Reply::Labelled(..)) => Outcome::Labelled,
            Ok(Reply::Refused(_)) => Outcome::Refused,
            Ok(Reply::Failed(_)) => Outcome::Failed,
            Err(_) => Outcome::NoReply,
        };
        self.requests.get_or_create(&Ended { outcome }).inc();
        self.request.observe(took.as_secs_f64());
    }

    /// A request will be made again.
    pub fn retry(&self, reason: Reason) {
        self.retries.get_or_create(&Retried { reason }).inc();
    }
}
