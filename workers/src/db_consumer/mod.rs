//! Writes images and answers into the database.
//!
//! At least once and idempotent: an offset is committed after its document is stored, and a document that comes again
//! meets its own `_id`. While the database is away the consumer pauses, keeps its place in the group and loses nothing.
//! What cannot be stored goes to the dead-letter topic.

mod archive;
mod consumer;
pub mod database;
mod documents;
mod metrics;

use std::time::Duration;

use anyhow::Context;
use mongodb::Database;
use rdkafka::{message::OwnedMessage, producer::Producer};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{
    http::{HealthArgs, Readiness},
    kafka::{self, Cluster, WaitError},
    service::Service,
};
use archive::{Archive, DeadLetters, StoreError};
use consumer::Records;
use database::Outage;
use metrics::Metrics;

/// How long Kafka, the topics or the database may be away before the process gives up and is started again.
const PATIENCE: Duration = Duration::from_secs(600);

/// The command line of `db-consumer`. The connection string comes from TAILRACE_MONGODB_URI alone, since arguments can
/// be seen by everybody on the machine.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where Kafka is.
    #[command(flatten)]
    pub cluster: Cluster,
    /// The consumer group: its members share the records.
    #[arg(long, env = "TAILRACE_GROUP")]
    pub group: String,
    /// The database with the collections images and inferences; the environment's TAILRACE_MONGODB_URI says where it is.
    #[arg(long, env = "TAILRACE_DATABASE", default_value = "iot")]
    pub database: String,
    /// Where its health is shown.
    #[command(flatten)]
    pub health: HealthArgs,
}

/// Archives until asked to stop, then commits and leaves the group.
///
/// # Errors
/// When Kafka or the database is away for ten minutes, or what cannot be stored cannot be kept elsewhere either.
pub fn run(args: Args) -> anyhow::Result<()> {
    let metrics = Metrics::default();
    let mut service = Service::new()?;
    service.serve_health(&args.health, metrics.registry())?;
    let Service { runtime, readiness, ending, .. } = service;
    let stop = &ending.stop;
    let database = runtime.block_on(database::open(&args.database))?;
    let Some(dead_letters) = wait_for_both(&args, &runtime, &database, stop)? else { return Ok(()) };
    let archive = Archive::new(&args.cluster, &database, dead_letters, metrics);

    let mut records = Records::subscribe(&args.cluster, &args.group, readiness.clone())?;
    while !stop.is_cancelled() {
        let batch = records.next()?;
        if store(&runtime, &archive, &batch, &mut records, &readiness, stop)? {
            records.finish(&batch);
        }
    }
    Ok(())
}

/// Waits for Kafka's topics and the database; none when asked to stop meanwhile.
fn wait_for_both(
    args: &Args,
    runtime: &Runtime,
    database: &Database,
    stop: &CancellationToken,
) -> anyhow::Result<Option<DeadLetters>> {
    let _inside = runtime.enter();
    let dead_letters: DeadLetters = args.cluster.producer().create().context("cannot set up Kafka's producer")?;
    match kafka::wait_for_topics(dead_letters.client(), &args.cluster.topics(), PATIENCE, stop) {
        Ok(_) => {}
        Err(WaitError::Stopped) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let found = runtime.block_on(database::wait(database, PATIENCE, stop))?;
    Ok(found.then_some(dead_letters))
}

/// Stores a batch, however often the database goes away; false when asked to stop before it was stored.
fn store(
    runtime: &Runtime,
    archive: &Archive,
    batch: &[OwnedMessage],
    records: &mut Records,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    let mut outage = Outage::new(PATIENCE);
    loop {
        match runtime.block_on(archive.store(batch)) {
            Ok(()) if outage.was() => {
                readiness.set(true);
                return Ok(true);
            }
            Ok(()) => return Ok(true),
            Err(StoreError::Away(reason)) => {
                readiness.set(false);
                records.pause(outage.delay(&reason)?, stop)?;
            }
            Err(error @ StoreError::NotKept { .. }) => return Err(error.into()),
        }
        if stop.is_cancelled() {
            return Ok(false);
        }
    }
}
