//! What every worker has that runs until it is asked to stop.

use std::net::SocketAddr;

use anyhow::Context;
use prometheus_client::registry::Registry;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::{
    health::{self, Readiness},
    shutdown,
};

/// A runtime with one thread, the page of its health and metrics, and the wish to stop.
pub struct Service {
    /// Where its asynchronous parts run.
    pub runtime: Runtime,
    /// Not ready at first.
    pub readiness: Readiness,
    /// Cancelled by SIGTERM and SIGINT.
    pub stop: CancellationToken,
}

impl Service {
    /// Answers on `address` from now on.
    ///
    /// # Errors
    /// When the address cannot be bound, or there are no threads or signal handlers to be had.
    pub fn start(address: SocketAddr, registry: Registry) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let readiness = Readiness::default();
        let stop = runtime.block_on(async {
            health::serve(address, readiness.clone(), registry).await?;
            shutdown::on_signals().context("cannot listen to signals")
        })?;
        Ok(Self { runtime, readiness, stop })
    }
}
