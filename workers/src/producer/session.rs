//! One run from the beginning to the measurement.

use std::{
    convert::Infallible,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    accounts::Accounts,
    arguments::Args,
    clock::Clock,
    connection::{Connection, Route},
    coordination::Coordination,
    dataset::{Dataset, Selection},
    idle::wait_until_idle,
    load::Run,
    measurement::Measurement,
    plan::Plan,
};

/// How often progress is reported.
const PROGRESS: Duration = Duration::from_secs(2);

/// Becomes ready, waits for the common start, and runs the load.
pub async fn measure<C: Coordination>(
    args: &Args,
    coordination: &C,
    stop: &CancellationToken,
) -> anyhow::Result<Measurement> {
    let plan = args.plan()?;
    coordination.claim().await?;
    let accounts = Accounts::new(plan.warmup);
    let (connection, dataset) = prepare(args, &plan, &accounts, stop).await?;
    let start = coordination.common_start().await?;
    let clock = Clock::starting_at(start)?;
    let client_settings = connection.settings.clone();
    let run = Run { plan, connection, dataset, accounts: accounts.clone(), clock };
    let stopping = stop.clone();
    let start_delay_micros = tokio::select! {
        ended = on_thread("load", move || run.execute(start, &stopping)) => ended?,
        never = report_progress(coordination, &accounts) => match never {},
    };
    Ok(Measurement {
        windows: accounts.finish(),
        duration: plan.duration,
        target: args.target(),
        start_delay_micros,
        client_settings,
    })
}

/// Encodes the images and connects to Kafka at the same time, then sees the classifier idle.
async fn prepare(
    args: &Args,
    plan: &Plan,
    accounts: &Accounts,
    stop: &CancellationToken,
) -> anyhow::Result<(Connection, Dataset)> {
    let deadline = Instant::now() + args.ready_timeout;
    let selection = Selection { seed: args.seed, index: args.index, producers: args.producers, wanted: plan.images() };
    let folder = args.dataset.clone();
    let dataset = on_thread("dataset", move || Dataset::load(&folder, selection));
    let route = Route {
        cluster: args.cluster.clone(),
        source: args.source.clone().unwrap_or_else(|| format!("producer-{:016x}", rand::random::<u64>())),
        index: args.index,
        send_timeout: plan.drain,
    };
    let (accounts, limit, stopping) = (accounts.clone(), args.ready_timeout, stop.clone());
    let connection = on_thread("connection", move || Connection::open(route, accounts, limit, &stopping));
    let (dataset, connection) = tokio::try_join!(dataset, connection)?;
    let (dataset, connection) = (dataset?, connection?);
    if let Some(group) = args.inference_group.clone() {
        let (cluster, stopping) = (args.cluster.clone(), stop.clone());
        on_thread("idle", move || wait_until_idle(&cluster, &group, deadline, &stopping)).await??;
    }
    Ok((connection, dataset))
}

async fn report_progress<C: Coordination>(coordination: &C, accounts: &Accounts) -> Infallible {
    loop {
        tokio::time::sleep(PROGRESS.mul_f64(rand::random_range(0.75..1.25))).await;
        coordination.progress(accounts.progress()).await;
    }
}

/// Runs `work` on a thread of its own, which the end of the process does not wait for.
async fn on_thread<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    let (sender, result) = oneshot::channel();
    let named = thread::Builder::new().name(name.to_owned());
    named.spawn(move || sender.send(work())).with_context(|| format!("the thread {name} cannot be started"))?;
    result.await.with_context(|| format!("the thread {name} panicked: see the log"))
}
