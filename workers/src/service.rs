//! What every worker has that runs until it is asked to stop.

use std::{net::SocketAddr, sync::Arc, time::Duration};

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
    http::{self, HealthArgs, Limits},
    readiness::{Readiness, Reporting},
};

/// How long the last report may take.
const REPORT_LIMIT: Duration = Duration::from_secs(4);

/// A runtime with one thread, the wish to stop, and a server of HTTP.
pub struct Service {
    /// Where its asynchronous parts run.
    pub runtime: Runtime,
    /// Not ready at first, and no more once asked to stop.
    pub readiness: Readiness,
    /// By SIGTERM, by SIGINT and by a failure.
    pub ending: Arc<Ending>,
    component: &'static str,
    server: Option<JoinHandle<()>>,
    reporter: Option<JoinHandle<()>>,
    done: CancellationToken,
}

impl Service {
    /// `component` is the part that it plays in a Pipeline.
    ///
    /// # Errors
    /// When threads or signal handlers cannot be made.
    pub fn new(component: &'static str) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let inside = runtime.enter();
        let ending = Arc::new(Ending::on_signals().context("cannot listen to signals")?);
        drop(inside);
        let readiness = Readiness::new(ending.stop.clone());
        let done = CancellationToken::new();
        Ok(Self { runtime, readiness, ending, component, server: None, reporter: None, done })
    }

    /// Answers `/livez`, `/readyz`, `/state`, `/metrics` and these routes from now on.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn serve(
        &mut self,
        address: SocketAddr,
        limits: Limits,
        mut registry: Registry,
        routes: Router,
    ) -> anyhow::Result<()> {
        registry.register_collector(Box::new(self.readiness.clone()));
        let listener = self.runtime.block_on(http::listen(address))?;
        let routes = http::health_routes(self.component, self.readiness.clone(), registry).merge(routes);
        let server = http::serve(listener, routes, limits, self.ending.stop.clone(), self.done.clone());
        self.server = Some(self.runtime.spawn(server));
        Ok(())
    }

    /// Answers `/livez`, `/readyz`, `/state` and `/metrics`, and nothing else, from now on.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn serve_health(&mut self, args: &HealthArgs, registry: Registry) -> anyhow::Result<()> {
        self.serve(args.http_address, Limits::default(), registry, Router::new())
    }

    /// Says in the status of its Pipeline how it is, from now on.
    pub fn report(&mut self, reporting: &Reporting) {
        let reporting = reporting.clone().run(self.component, self.readiness.clone());
        self.reporter = Some(self.runtime.spawn(reporting));
    }

    /// Waits until the requests that are under way are answered, to a deadline.
    ///
    /// # Errors
    /// The failure for which the process ends, if there is one.
    pub fn finish(self) -> anyhow::Result<()> {
        self.done.cancel();
        self.ending.stop.cancel();
        if let Some(reporter) = self.reporter {
            let _ = self.runtime.block_on(async { tokio::time::timeout(REPORT_LIMIT, reporter).await });
        }
        if let Some(server) = self.server {
            self.runtime.block_on(http::drained(server));
        }
        self.ending.result()
    }
}
