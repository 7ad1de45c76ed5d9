//! One run from the beginning to the measurement.

use std::{
    convert::Infallible,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use tailrace_measure::{accounting::Windows, signed::unsigned, sum::Sum};
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
    waiting::{PACE, Reasons},
};
use crate::{
    attempts::{Attempts, Obstacle},
    backoff::Backoff,
    kafka::can_heal,
};

/// How often progress is reported.
const PROGRESS: Duration = Duration::from_secs(2);
/// How long Kafka may take, before the start and after the end, to say what only feeds a warning: the result waits.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
/// How long one of these requests may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(3);

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
    let (connection, dataset) = become_ready(args, member, &plan, &accounts, (coordination, stop)).await?;
    let connection = Arc::new(connection);
    let client_settings = connection.settings.clone();
    let skipped = Skipped::new(args);
    let (records_before, skipped_before) = tokio::join!(topic_records(&connection), look(skipped.count()));
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
    let (records_after, skipped_after) = tokio::join!(topic_records(&connection), look(skipped.count()));
    let topic_records = records_after.zip(records_before).map(|(after, before)| unsigned(after - before));
    let skipped_records = Skipped::between(skipped_before, skipped_after);
    let (windows, records) = accounts.finish();
    if let Some(log) = &mut raw_log {
        log.add(&records)?;
    }
    let Windows { warmup, measurement, mut intervals } = windows;
    intervals.truncate(measured);
    let sum = Sum {
        warmup: warmup.counts,
        tally: measurement,
        intervals,
        measured,
        throttled,
        topic_records,
        skipped_records,
        foreign_answers: accounts.foreign_answers(),
        start_delays_micros: vec![start_delay_micros],
    };
    Ok(Measurement { sum, load: args.load_of_each(), client_settings, raw_log })
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

/// How many records the topic of the images has had, from all sources; none if Kafka does not say.
async fn topic_records(connection: &Arc<Connection>) -> Option<i64> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
    look(async {
        loop {
            let connection = connection.clone();
            match on_thread("topic-records", move || connection.topic_records(REQUEST_LIMIT)).await {
                Ok(Ok(count)) => return Some(count),
                Ok(Err(error)) if can_heal(&error) => {
                    tracing::info!("the images of all sources are counted again: {error}")
                }
                Ok(Err(error)) => {
                    tracing::warn!("how many images of other sources there are is not known: {error}");
                    return None;
                }
                Err(error) => {
                    tracing::warn!("{error:#}");
                    return None;
                }
            }
            tokio::time::sleep(backoff.delay()).await;
        }
    })
    .await
}

/// What is only looked at, and is not known if that takes too long.
async fn look<T>(looked: impl Future<Output = Option<T>>) -> Option<T> {
    tokio::time::timeout(LOOK_LIMIT, looked).await.unwrap_or_else(|_| {
        tracing::warn!("Kafka does not say within {LOOK_LIMIT:?} what else went through the topics: it is not known");
        None
    })
}

/// Says what keeps it from being ready, until it is.
async fn become_ready<C: Coordination>(
    args: &TestArgs,
    member: &Member,
    plan: &Plan,
    accounts: &Accounts,
    (coordination, stop): (&C, &CancellationToken),
) -> anyhow::Result<(Connection, Dataset)> {
    let (reasons, done) = (Reasons::new(), CancellationToken::new());
    let prepared = async {
        let prepared = prepare(args, member, plan, accounts, (&reasons, stop)).await;
        done.cancel();
        prepared
    };
    tokio::join!(prepared, reasons.say(coordination, PACE, &done)).0
}

/// Encodes the images and connects to Kafka at the same time, then sees the classifier idle.
async fn prepare(
    args: &TestArgs,
    member: &Member,
    plan: &Plan,
    accounts: &Accounts,
    (reasons, stop): (&Reasons, &CancellationToken),
) -> anyhow::Result<(Connection, Dataset)> {
    let deadline = Instant::now() + args.ready_timeout;
    let selection =
        Selection { seed: args.seed, index: member.index, producers: args.producers, wanted: plan.images() };
    let images = args.dataset.images()?;
    // Images that cannot be sent end it, whatever else is waited for.
    let dataset = async { Ok(on_thread("dataset", move || Dataset::load(&images, selection)).await??) };
    let route = Route {
        cluster: args.cluster.clone(),
        source: member.source.clone(),
        pipeline: args.pipeline_uid.clone(),
        index: member.index,
        send_timeout: plan.drain,
    };
    let accounts = accounts.clone();
    let connect = attempts(reasons, deadline, stop, |attempts| Connection::open(route, accounts, attempts));
    let connection = async { anyhow::Ok(on_thread("connection", connect).await??) };
    let (dataset, connection) = tokio::try_join!(dataset, connection)?;
    if let Some(group) = args.inference_group.clone() {
        let cluster = args.cluster.clone();
        let wait = attempts(reasons, deadline, stop, move |attempts| wait_until_idle(&cluster, &group, attempts));
        on_thread("idle", wait).await??.context("stopped while waiting for the classifier")?;
    }
    Ok((connection, dataset))
}

/// `work` for a thread of its own, with attempts whose reasons are said.
fn attempts<T>(
    reasons: &Reasons,
    deadline: Instant,
    stop: &CancellationToken,
    work: impl FnOnce(&Attempts<'_>) -> T + Send + 'static,
) -> impl FnOnce() -> T + Send + 'static {
    let (reasons, stop) = (reasons.clone(), stop.clone());
    move || {
        let tell = |obstacle: &dyn Obstacle| reasons.wait_for(obstacle);
        let outcome = work(&Attempts::new(Some(deadline), &stop, &tell));
        reasons.go_on();
        outcome
    }
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
