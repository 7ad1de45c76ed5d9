//! Writes images and answers into the database.
//!
//! At least once and idempotent: an offset is committed after its document is stored, and a document that comes again
//! meets its own `_id`. While the database is away the consumer pauses, keeps its place in the group and loses nothing.
//! What cannot be stored goes to the dead-letter topic.

mod archive;
mod consumer;
pub mod database;
mod documents;
pub mod expiry;
mod metrics;
mod upkeep;

use std::time::Duration;

use mongodb::Database;
use prometheus_client::registry::Registry;
use rdkafka::message::OwnedMessage;
use tailrace_crds::duration::Duration as UserDuration;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{
    dead_letter::{self, DeadLetters},
    http::HealthArgs,
    kafka::{self, Consuming, Probe, Progress, WaitError},
    readiness::{Part, Readiness, Reporting},
    service::Service,
};
use archive::{Archive, StoreError};
use consumer::Records;
use database::Outage;
use metrics::Metrics;

/// How long the database may be away before the process gives up and is started again.
const PATIENCE: Duration = Duration::from_secs(600);

/// The command line of `db-consumer`. The connection string comes from TAILRACE_MONGODB_URI alone, since arguments can
/// be seen by everybody on the machine.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What is read, and as which group.
    #[command(flatten)]
    pub consuming: Consuming,
    /// The database with the collections images and inferences; the environment's TAILRACE_MONGODB_URI says where it
    /// is.
    #[arg(long, env = "TAILRACE_DATABASE", default_value = "iot")]
    pub database: String,
    /// Where its health is shown.
    #[command(flatten)]
    pub health: HealthArgs,
    /// How long documents are kept from when they were stored, such as 12h or 7d; for ever by default.
    #[arg(long, env = "TAILRACE_RETENTION", value_parser = retention)]
    pub retention: Option<Duration>,
    /// Where it reports.
    #[command(flatten)]
    pub reporting: Reporting,
}

fn retention(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let kept = match days {
        Some(days) => Duration::from_secs(u64::from(days) * 86_400),
        None => text.parse::<UserDuration>().map_err(|error| format!("{error}, or a number of days such as 7d"))?.get(),
    };
    // A TTL index counts seconds in 32 bits.
    if !(Duration::from_secs(60)..=Duration::from_secs(i32::MAX.unsigned_abs().into())).contains(&kept) {
        return Err("documents are kept for 1m to 24000d: write a duration within that, such as 7d".to_owned());
    }
    Ok(kept)
}

/// Archives until asked to stop, then commits and leaves the group.
///
/// # Errors
/// When Kafka or the database is away for ten minutes, or what cannot be stored cannot be kept elsewhere either.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut service = Service::new("archive")?;
    let (metrics, progress) = (Metrics::default(), Progress::new(service.readiness.clone()));
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    progress.register(&mut registry);
    let letters = dead_letter::Metrics::default();
    letters.register(&mut registry);
    service.serve_health(&args.health, registry)?;
    service.report(&args.reporting);
    let archived = archive(&args, &service, (metrics, letters), progress);
    service.finish().and(archived)
}

fn archive(
    args: &Args,
    service: &Service,
    (metrics, letters): (Metrics, dead_letter::Metrics),
    progress: Progress,
) -> anyhow::Result<()> {
    let Service { runtime, readiness, ending, .. } = service;
    let (consuming, stop) = (&args.consuming, &ending.stop);
    let opened = runtime.block_on(stop.run_until_cancelled(database::open(&args.database, PATIENCE)));
    let Some(database) = opened.transpose()? else { return Ok(()) };
    Probe::start(consuming, readiness.clone(), progress.clone(), stop.clone())?;
    let Some(dead_letters) = wait_for_both(args, letters, runtime, &database, readiness, stop)? else { return Ok(()) };
    runtime.spawn(upkeep::run(database.clone(), args.retention, readiness.clone(), metrics.clone(), stop.clone()));
    let archive = Archive::new(&consuming.cluster, &database, dead_letters, metrics);

    kafka::before_joining(consuming, &[&consuming.cluster.images_topic, &consuming.cluster.inferences_topic], stop)?;
    let mut records = Records::subscribe(consuming, readiness.clone(), progress)?;
    while !stop.is_cancelled() {
        let batch = records.next()?;
        if store(runtime, &archive, &batch, &mut records, readiness, stop)? {
            records.finish(&batch);
        }
    }
    Ok(())
}

/// Waits for Kafka's topics and the database; none when asked to stop meanwhile.
fn wait_for_both(
    args: &Args,
    letters: dead_letter::Metrics,
    runtime: &Runtime,
    database: &Database,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> anyhow::Result<Option<DeadLetters>> {
    let (cluster, _inside) = (&args.consuming.cluster, runtime.enter());
    let dead_letters = DeadLetters::new(cluster, letters)?;
    match kafka::wait_for_topics(dead_letters.client(), &cluster.topics(), Duration::MAX, stop) {
        Ok(_) => {}
        Err(WaitError::Stopped) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let found = runtime.block_on(database::wait(database, PATIENCE, readiness, stop))?;
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
            Ok(()) => {
                readiness.fine(Part::Database);
                return Ok(true);
            }
            Err(StoreError::Away(reason)) => {
                readiness.trouble(Part::Database, database::away(&reason));
                records.pause(outage.delay(&reason)?, stop)?;
            }
            Err(error @ StoreError::NotKept { .. }) => return Err(error.into()),
        }
        if stop.is_cancelled() {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_a_duration_or_a_number_of_days() {
        assert_eq!(retention("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(retention("1h30m"), Ok(Duration::from_secs(5_400)));
        for refused in ["7", "0d", "5s", "d", "99999d", "1w"] {
            let sentence = retention(refused).unwrap_err();
            assert!(sentence.contains("7d"), "{refused}: {sentence}");
        }
    }
}
