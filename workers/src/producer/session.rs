//! One run from the beginning to the measurement.

use std::{
    convert::Infallible,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    accounts::Accounts,
    arguments::{Member, TestArgs},
    clock::Clock,
    connection::{Connection, Route},
    coordination::{Coordination, Progress},
    dataset::{Dataset, Selection},
    idle::wait_until_idle,
    load::{Ending, Ran, Run},
    measurement::Measurement,
    plan::Plan,
    raw_log::RawLog,
    skipped::Skipped,
    throttling::throttled,
};

/// How often progress is reported.
const PROGRESS: Duration = Duration::from_secs(2);

/// Becomes ready, waits for the common start, and runs the load.
pub async fn measure<C: Coordination>(
    args: &TestArgs,
    member: &Member,
    coordination: &C,
    stop: &CancellationToken,
) -> anyhow::Result<Measurement> {
    let plan = args.plan(member.index)?;
    coordination.claim().await?;
    let accounts = Accounts::new(plan.warmup, plan.duration, args.raw_log);
    let (connection, dataset) = prepare(args, member, &plan, &accounts, stop).await?;
    let connection = Arc::new(connection);
    let client_settings = connection.settings.clone();
    let skipped = Skipped::new(args)?;
    let (records_before, skipped_before) = (topic_records(&connection).await?, skipped.count().await);
    let start = coordination.common_start().await?;
    let throttled_before = throttled();
    let clock = Clock::starting_at(start)?;
    accounts.start(clock);
    let ending = Ending { stop: stop.clone(), abort: CancellationToken::new() };
    let run = Run { plan, connection: connection.clone(), dataset, accounts: accounts.clone(), clock };
    let running = ending.clone();
    let mut raw_log = args.raw_log.then(|| RawLog::new(member.index)).transpose()?;
    let Ran { start_delay_micros, measured } = tokio::select! {
        ran = on_thread("load", move || run.execute(start, &running)) => ran?,
        failed = accompany(coordination, &accounts, raw_log.as_mut(), &ending.abort) => {
            return Err(match failed { Err(error) => error, Ok(never) => match never {} });
        }
    };
    let throttled = throttled().zip(throttled_before).map(|(after, before)| after.saturating_sub(before));
    let topic_records = topic_records(&connection).await? - records_before;
    let skipped_records = skipped.since(skipped_before).await;
    let (windows, records) = accounts.finish();
    if let Some(log) = &mut raw_log {
        log.add(&records)?;
    }
    let target = args.target();
    Ok(Measurement {
        windows,
        measured,
        target,
        start_delay_micros,
        throttled,
        topic_records,
        skipped_records,
        foreign_answers: accounts.foreign_answers(),
        client_settings,
        raw_log,
    })
}

/// What goes on beside the load and never ends by itself, unless it fails.
async fn accompany<C: Coordination>(
    coordination: &C,
    accounts: &Accounts,
    raw_log: Option<&mut RawLog>,
    abort: &CancellationToken,
) -> anyhow::Result<Infallible> {
    let watch = async {
        coordination.aborted().await;
        abort.cancel();
        std::future::pending().await
    };
    tokio::select! {
        never = watch => never,
        failed = report_progress(coordination, accounts, raw_log) => failed,
    }
}

async fn report_progress<C: Coordination>(
    coordination: &C,
    accounts: &Accounts,
    mut raw_log: Option<&mut RawLog>,
) -> anyhow::Result<Infallible> {
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(PROGRESS.mul_f64(rand::random_range(0.75..1.25))).await;
        if let Some(log) = &mut raw_log {
            let records = accounts.ledger().take_records();
            log.add(&records)?;
        }
        let (recent, now) = (accounts.ledger().take_recent(), Instant::now());
        let progress = Progress { counts: accounts.progress(), recent, since: now - last };
        last = now;
        coordination.progress(progress).await;
    }
}

async fn topic_records(connection: &Arc<Connection>) -> anyhow::Result<i64> {
    let connection = connection.clone();
    Ok(on_thread("topic-records", move || connection.topic_records()).await??)
}

/// Encodes the images and connects to Kafka at the same time, then sees the classifier idle.
async fn prepare(
    args: &TestArgs,
    member: &Member,
    plan: &Plan,
    accounts: &Accounts,
    stop: &CancellationToken,
) -> anyhow::Result<(Connection, Dataset)> {
    let deadline = Instant::now() + args.ready_timeout;
    let selection =
        Selection { seed: args.seed, index: member.index, producers: args.producers, wanted: plan.images() };
    let images = args.dataset.images()?;
    let dataset = on_thread("dataset", move || Dataset::load(&images, selection));
    let route = Route {
        cluster: args.cluster.clone(),
        source: member.source.clone(),
        pipeline: args.pipeline_uid.clone(),
        index: member.index,
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

/// Runs `work` on a thread of its own, which the end of the process does not wait for.
pub(super) async fn on_thread<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    let (sender, result) = oneshot::channel();
    let named = thread::Builder::new().name(name.to_owned());
    named.spawn(move || sender.send(work())).with_context(|| format!("the thread {name} cannot be started"))?;
    result.await.with_context(|| format!("the thread {name} panicked: see the log"))
}
