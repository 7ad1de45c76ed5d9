//! When and why the process ends.

use std::sync::OnceLock;

use anyhow::anyhow;
use tokio_util::sync::CancellationToken;

use crate::shutdown;

/// The wish to stop, and what went wrong if something did.
pub struct Ending {
    /// Cancelled by SIGTERM, by SIGINT and by the first failure.
    pub stop: CancellationToken,
    failure: OnceLock<String>,
}

impl Ending {
    /// # Errors
    /// When signal handlers cannot be installed. Must be called within a tokio runtime.
    pub fn on_signals() -> std::io::Result<Self> {
        Ok(Self { stop: shutdown::on_signals()?, failure: OnceLock::new() })
    }

    /// The process stops, with this reason if it is the first.
    pub fn fail(&self, reason: String) {
        tracing::error!("{reason}");
        // A second failure follows from the first.
        let _ = self.failure.set(reason);
        self.stop.cancel();
    }

    /// # Errors
    /// The first failure.
    pub fn result(&self) -> anyhow::Result<()> {
        self.failure.get().map_or(Ok(()), |reason| Err(anyhow!("{reason}")))
    }
}
