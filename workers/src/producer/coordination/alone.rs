use jiff::Timestamp;
use tailrace_crds::producer_report::Waiting;
use tailrace_measure::{accounting::Counts, summary::summarize};

use super::{super::measurement::Measurement, Coordination, Delivery, Progress};

/// Works for nobody: starts when it is ready, and prints the measurement as JSON.
#[derive(Debug)]
pub struct Alone;

impl Coordination for Alone {
    async fn claim(&self) -> anyhow::Result<()> {
        Ok(())
    }

    /// The log says it.
    async fn waits_for(&self, _waiting: Option<&Waiting>) -> bool {
        true
    }

    async fn common_start(&self) -> anyhow::Result<Timestamp> {
        Ok(Timestamp::now())
    }

    async fn progress(&self, Progress { counts, recent, .. }: Progress) {
        let Counts { scheduled, sent, received, .. } = counts;
        let p95_micros = summarize(&recent, recent.count()).p95;
        tracing::info!(scheduled, sent, received, p95_micros, "under way");
    }

    async fn aborted(&self) {
        std::future::pending().await
    }
}

impl Delivery for Alone {
    async fn deliver(&self, measurement: &Measurement) -> anyhow::Result<()> {
        println!("{}", serde_json::to_string_pretty(&measurement.summary())?);
        Ok(())
    }

    /// The process says it itself as it ends.
    async fn fail(&self, _sentence: &str) {}
}
