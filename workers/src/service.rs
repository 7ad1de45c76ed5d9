//! What every worker has that runs until it is asked to stop.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::Router;
use prometheus_client::registry::Registry;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    ending::Ending,
    http::{self, HealthArgs, Limits, Readiness},
};

/// A runtime with one thread, the wish to stop, and a server of HTTP.
pub struct Service {
    /// Where its asynchronous parts run.
    pub runtime: Runtime,
    /// Not ready at first, and no more once asked to stop.
    pub readiness: Readiness,
    /// By SIGTERM, by SIGINT and by a failure.
    pub ending: Arc<Ending>,
    server: Option<JoinHandle<()>>,
    done: CancellationToken,
}

impl Service {
    /// # Errors
    /// When there are no threads or signal handlers to be had.
    pub fn new() -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let inside = runtime.enter();
        let ending = Arc::new(Ending::on_signals().context("cannot listen to signals")?);
        drop(inside);
        let readiness = Readiness::new(ending.stop.clone());
        Ok(Self { runtime, readiness, ending, server: None, done: CancellationToken::new() })
    }

    /// Answers `/livez`, `/readyz`, `/metrics` and these routes from now on.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn serve(
        &mut self,
        address: SocketAddr,
        limits: Limits,
        registry: Registry,
        routes: Router,
    ) -> anyhow::Result<()> {
        let listener = self.runtime.block_on(http::listen(address))?;
        let routes = http::health_routes(self.readiness.clone(), registry).merge(routes);
        let server = http::serve(listener, routes, limits, self.ending.stop.clone(), self.done.clone());
        self.server = Some(self.runtime.spawn(server));
        Ok(())
    }

    /// Answers `/livez`, `/readyz` and `/metrics`, and nothing else, from now on.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn serve_health(&mut self, args: &HealthArgs, registry: Registry) -> anyhow::Result<()> {
        self.serve(args.http_address, Limits::default(), registry, Router::new())
    }

    /// Waits until the requests that are under way are answered, to a deadline.
    ///
    /// # Errors
    /// The failure for which the process ends, if there is one.
    pub fn finish(self) -> anyhow::Result<()> {
        self.done.cancel();
        if let Some(server) = self.server {
            self.runtime.block_on(http::drained(server));
        }
        self.ending.result()
    }
}
