//! `/livez` and `/readyz` for the kubelet: an operator that waits for the lease is as healthy as the one that has it.

use std::{io, net::SocketAddr};

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Takes the port.
///
/// # Errors
/// When the port is taken already, with the address in the message.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

/// Answers until `shutdown` is cancelled.
pub async fn serve(listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
    let routes = Router::new().route("/livez", get(|| async { "ok" })).route("/readyz", get(|| async { "ok" }));
    axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await
}
