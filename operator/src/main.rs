//! `tailrace-operator`: reads its settings, waits for the lease and runs the controllers.

use std::{io::IsTerminal, process::ExitCode, sync::Arc};

use clap::Parser;
use kube::Client;
use tailrace_operator::{
    context::Context,
    health, leader, run_controllers,
    settings::{LogFormat, Settings},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let settings = Settings::parse();
    start_logging(settings.log_format);
    match run(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stdout().is_terminal());
    match format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().init(),
    }
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let shutdown = cancelled_by_signals()?;
    let health = health::listen(settings.http_address).await?;
    let serving = tokio::spawn(health::serve(health, shutdown.clone()));

    let client = Client::try_default().await?;
    let lease = settings.lease.clone();
    let context = Arc::new(Context::new(client.clone(), settings));
    leader::lead(client, &lease, shutdown.clone(), |leading| run_controllers(context, leading)).await?;

    serving.await??;
    Ok(())
}

/// A token that SIGTERM and SIGINT cancel.
fn cancelled_by_signals() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn({
        let token = token.clone();
        async move {
            tokio::select! {
                _ = terminate.recv() => {},
                _ = interrupt.recv() => {},
            }
            token.cancel();
        }
    });
    Ok(token)
}
