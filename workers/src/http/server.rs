//! Connections: taken, served, drained.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::Limits;

/// The longest head of a request, in bytes.
const HEAD_BYTES: usize = 64 << 10;
/// How long requests that are under way may take when the process has nothing else to do any more.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection that comes while the server drains may take to ask: one that says nothing must not hold it up.
const LATE_REQUEST: Duration = Duration::from_secs(1);
/// The pause after a connection could not be taken, for example because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes the port. The address `[::]` stands for all addresses of both families, or of IPv4 where there is no other.
///
/// # Errors
/// When the address cannot be bound.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let of_ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
    let bound = match TcpListener::bind(address).await {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != ErrorKind::AddrInUse => {
            TcpListener::bind(of_ipv4).await
        }
        bound => bound,
    };
    let listener = bound.with_context(|| format!("cannot listen on {address}"))?;
    tracing::info!("HTTP on {}", listener.local_addr()?);
    Ok(listener)
}

/// Serves until `done` is cancelled and no connection is left. When `stop` is cancelled, a connection ends with the
/// request that is under way, and one that comes later with its first answer.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    limits: Limits,
    stop: CancellationToken,
    done: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    while !(done.is_cancelled() && connections.is_empty()) {
        tokio::select! {
            (stream, place) = accept(&listener, &places) => {
                connections.spawn(connection(stream, place, app.clone(), limits, stop.clone()));
            }
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!("a connection failed: {error}");
                }
            }
            () = done.cancelled(), if !done.is_cancelled() => {}
        }
    }
}

/// Waits until the server has ended, to a deadline.
pub async fn drained(server: JoinHandle<()>) {
    if timeout(DRAIN_LIMIT, server).await.is_err() {
        tracing::warn!("requests that took longer than {DRAIN_LIMIT:?} are cut off");
    }
}

/// Clients that find no place wait in the kernel's queue.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                tracing::warn!("cannot take a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    _place: Option<OwnedSemaphorePermit>,
    app: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    // An answer is one write: it must not wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let draining = stop.is_cancelled();
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(if draining { limits.receive_timeout.min(LATE_REQUEST) } else { limits.receive_timeout })
        .max_buf_size(HEAD_BYTES)
        .keep_alive(!draining)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        // Only a connection that was looked at once is known to be idle, and ends at once.
        biased;
        ended = connection.as_mut() => ended,
        () = stop.cancelled(), if !draining => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended early: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_families_are_answered() {
        let listener = listen("[::]:0".parse().unwrap()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        TcpStream::connect(("::1", port)).await.unwrap();
    }
}
