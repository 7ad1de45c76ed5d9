//! Being asked to stop.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancelled when the process is asked to stop, by SIGTERM or SIGINT.
///
/// # Errors
/// When signal handlers cannot be installed. Must be called within a tokio runtime.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
        asked.cancel();
    });
    Ok(stop)
}

/// Sleeps, but not beyond the time when the process is asked to stop.
pub async fn sleep(stop: &CancellationToken, delay: Duration) {
    // Either way the caller looks at the token next.
    let _ = tokio::time::timeout(delay, stop.cancelled()).await;
}
