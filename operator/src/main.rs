//! `tailrace-operator`: reads its settings, waits for the lease and runs the controllers.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use kube::Client;
use tailrace_operator::{context::Context, health, leader, logging, run_controllers, settings::Settings};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let settings = Settings::parse();
    logging::start(&settings.log);
    match run(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let shutdown = cancelled_by_signals()?;
    let listener = health::listen(settings.http_address).await?;
    let lease = settings.lease.clone();
    let context = Arc::new(Context::new(Client::try_default().await?, settings));
    let serving = tokio::spawn(health::serve(listener, context.clone(), shutdown.clone()));

    let client = context.client.clone();
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
