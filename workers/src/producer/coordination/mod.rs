//! Who says when to start, and who takes the result.

mod alone;
mod kubernetes;

use jiff::Timestamp;
use tailrace_measure::accounting::Counts;

pub use alone::Alone;
pub use kubernetes::Kubernetes;

use super::measurement::Measurement;

/// What a producer says to whom it works for. None of it is called from a thread that is timed.
pub trait Coordination {
    /// Makes sure that no other process reports in this one's place.
    async fn claim(&self) -> anyhow::Result<()>;
    /// Says that the producer is ready and returns the common start once it is known.
    async fn common_start(&self) -> anyhow::Result<Timestamp>;
    /// Says how far the run has got. It may get lost.
    async fn progress(&self, counts: Counts);
    /// Delivers the measurement.
    async fn deliver(&self, measurement: &Measurement) -> anyhow::Result<()>;
    /// Says in one sentence why there will be no measurement. It may get lost.
    async fn fail(&self, sentence: &str);
}
