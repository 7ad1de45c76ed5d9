//! Who says when to start, and who takes the result.

mod alone;
mod kubernetes;

use std::time::Duration;

use jiff::Timestamp;
use tailrace_crds::producer_report::Waiting;
use tailrace_measure::{accounting::Counts, histogram::LatencyHistogram};

pub use alone::Alone;
pub use kubernetes::Kubernetes;

use super::measurement::Measurement;

/// How far a run has got.
#[derive(Debug)]
pub struct Progress {
    /// The images so far.
    pub counts: Counts,
    /// The latencies of the answers since the last progress.
    pub recent: LatencyHistogram,
    /// How long ago that was.
    pub since: Duration,
}

/// Whom a producer works for, while it does. None of it is called from a thread that is timed.
pub trait Coordination {
    /// Makes sure that no other process reports in this one's place.
    async fn claim(&self) -> anyhow::Result<()>;
    /// Says what keeps the producer from being ready, or that nothing does any more; whether that was heard.
    async fn waits_for(&self, waiting: Option<&Waiting>) -> bool;
    /// Says that the producer is ready and returns the common start once it is known.
    async fn common_start(&self) -> anyhow::Result<Timestamp>;
    /// Says how far the run has got. It may get lost.
    async fn progress(&self, progress: Progress);
    /// Returns when the run is to be ended before its time, and never if it is not.
    async fn aborted(&self);
}

/// What is said at the end by a producer that has a process of its own.
pub trait Delivery: Coordination {
    /// Delivers the measurement.
    async fn deliver(&self, measurement: &Measurement) -> anyhow::Result<()>;
    /// Says in one sentence why there will be no measurement. It may get lost.
    async fn fail(&self, sentence: &str);
}
