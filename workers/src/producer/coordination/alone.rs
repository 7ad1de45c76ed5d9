use jiff::Timestamp;
use tailrace_measure::accounting::Counts;

use super::{super::measurement::Measurement, Coordination};

/// Works for nobody: starts when it is ready, and prints the measurement as JSON.
#[derive(Debug)]
pub struct Alone;

impl Coordination for Alone {
    async fn claim(&self) -> anyhow::Result<()> {
        Ok(())
    }

    async fn common_start(&self) -> anyhow::Result<Timestamp> {
        Ok(Timestamp::now())
    }

    async fn progress(&self, counts: Counts) {
        let Counts { scheduled, sent, received, .. } = counts;
        tracing::info!(scheduled, sent, received, "under way");
    }

    async fn deliver(&self, measurement: &Measurement) -> anyhow::Result<()> {
        println!("{}", serde_json::to_string_pretty(&measurement.summary())?);
        Ok(())
    }

    /// The process says it itself as it ends.
    async fn fail(&self, _sentence: &str) {}
}
