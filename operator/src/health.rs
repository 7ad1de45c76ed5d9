//! `/livez` and `/readyz` for the kubelet, `/metrics` for Prometheus.
//!
//! An operator that waits for the lease is as ready as the one that has it. One that has it and cannot list what it
//! watches is not: it says what is missing, and nothing is gained by starting it again.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{
    Router, extract::State, http::StatusCode, http::header::CONTENT_TYPE, response::IntoResponse, routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{context::Context, lock};

/// What keeps the operator from working, by what it lacks.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<BTreeMap<String, String>>);

impl Readiness {
    /// `what` is lacking, and `why`.
    pub fn lacks(&self, what: &str, why: String) {
        lock(&self.0).insert(what.to_owned(), why);
    }

    /// `what` is there (again).
    pub fn has(&self, what: &str) {
        lock(&self.0).remove(what);
    }

    /// What is lacking, a line each; nothing if the operator is ready.
    pub fn why_not(&self) -> Option<String> {
        let lacking = lock(&self.0);
        (!lacking.is_empty()).then(|| lacking.values().cloned().collect::<Vec<_>>().join("\n"))
    }
}

/// Takes the port. The address `[::]` stands for all addresses of both families, or of IPv4 where there is no other.
///
/// # Errors
/// When the port is taken already, with the address in the message.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let of_ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
    let bound = match TcpListener::bind(address).await {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind(of_ipv4).await
        }
        bound => bound,
    };
    bound.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

/// Answers until `shutdown` is cancelled.
pub async fn serve(listener: TcpListener, context: Arc<Context>, shutdown: CancellationToken) -> io::Result<()> {
    let routes = Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(context);
    axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

async fn readyz(State(context): State<Arc<Context>>) -> (StatusCode, String) {
    match context.readiness.why_not() {
        None => (StatusCode::OK, "ok".into()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn metrics(State(context): State<Arc<Context>>) -> impl IntoResponse {
    /// OpenMetrics, which Prometheus asks for first.
    const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, FORMAT)], context.metrics.encode(&context.watches))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn both_families_are_answered() {
        let listener = listen("[::]:0".parse().unwrap()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        TcpStream::connect(("::1", port)).await.unwrap();
    }
}
