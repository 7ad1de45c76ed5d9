//! Deletes the documents of one source, or of several whose names begin the same: what a LoadTest has written.

mod archived;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mongodb::{
    Collection, Database,
    bson::{Document, doc},
};
use serde::Serialize;
use tailrace_crds::duration::Duration as UserDuration;

use crate::{
    backoff::Backoff,
    db_consumer::{
        database::{self, IMAGES, INFERENCES},
        expiry::{PAUSE, delete_batch},
    },
    kafka::Cluster,
    termination::TerminationMessage,
};
use archived::wait_until_archived;

/// How long the db-consumer may stand still before the deletion begins without it.
const PATIENCE: Duration = Duration::from_secs(30);
/// A prefix shorter than this may be a mistake that deletes everything.
const SHORTEST_PREFIX: usize = 8;

/// The command line of `delete-documents`. The connection string comes from TAILRACE_MONGODB_URI alone.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What the `_id` of the documents begins with: the UID of a LoadTest. At least 8 characters.
    #[arg(long, env = "TAILRACE_SOURCE_PREFIX", value_parser = prefix)]
    pub source_prefix: String,
    /// The database with the collections images and inferences.
    #[arg(long, env = "TAILRACE_DATABASE", default_value = "iot")]
    pub database: String,
    /// Where Kafka is.
    #[command(flatten)]
    pub cluster: Cluster,
    /// The db-consumer's consumer group: what the topics hold is archived before anything is deleted.
    #[arg(long, env = "TAILRACE_ARCHIVE_GROUP")]
    pub archive_group: Option<String>,
    /// How long it may take, such as 10m. What is deleted by then stays deleted; run again, it goes on.
    #[arg(long, env = "TAILRACE_TIMEOUT", default_value = "10m")]
    pub timeout: UserDuration,
    /// Where the result or the reason of a failure goes.
    #[command(flatten)]
    pub termination: TerminationMessage,
}

/// How many documents of each collection were deleted.
#[derive(Serialize)]
struct Deleted {
    images: u64,
    inferences: u64,
}

/// Deletes in batches, so that the archive gets on meanwhile, until none is left.
///
/// # Errors
/// When the database refuses, or the time is up.
pub fn run(args: Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    args.termination.report(runtime.block_on(delete(&args)))
}

async fn delete(args: &Args) -> anyhow::Result<Deleted> {
    let database = database::open(&args.database, args.timeout.get()).await?;
    let deadline = Instant::now() + args.timeout.get();
    if let Some(group) = args.archive_group.clone() {
        let cluster = args.cluster.clone();
        // Half of the time is left for the deletion.
        let until = Instant::now() + args.timeout.get() / 2;
        tokio::task::spawn_blocking(move || wait_until_archived(&cluster, &group, PATIENCE, until)).await?;
    }
    let images = delete_from(&database, IMAGES, args, deadline).await?;
    let inferences = delete_from(&database, INFERENCES, args, deadline).await?;
    Ok(Deleted { images, inferences })
}

async fn delete_from(database: &Database, name: &str, args: &Args, deadline: Instant) -> anyhow::Result<u64> {
    let collection: Collection<Document> = database.collection(name);
    let mut deleted = 0;
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        let batch =
            tokio::time::timeout_at(deadline.into(), delete_batch(&collection, filter(&args.source_prefix))).await;
        if let Ok(Err(error)) = &batch
            && database::can_heal(error)
        {
            let delay = backoff.delay();
            if Instant::now() + delay < deadline {
                tracing::warn!("documents of {name} are deleted again: {error}");
                tokio::time::sleep(delay).await;
                continue;
            }
        }
        backoff.reset();
        let late = |deleted: u64| {
            format!("{deleted} documents of {name} were deleted within {}, and more are left", args.timeout)
        };
        let batch =
            batch.with_context(|| late(deleted))?.with_context(|| format!("documents of {name} cannot be deleted"))?;
        if batch == 0 {
            return Ok(deleted);
        }
        deleted += batch;
        ensure!(Instant::now() < deadline, late(deleted));
        tokio::time::sleep(PAUSE).await;
    }
}

/// A range, which the index of `_id` answers.
fn filter(prefix: &str) -> Document {
    doc! {"_id": {"$gte": prefix, "$lt": format!("{prefix}\u{10ffff}")}}
}

fn prefix(text: &str) -> Result<String, String> {
    if text.len() < SHORTEST_PREFIX {
        return Err(format!("write at least {SHORTEST_PREFIX} characters, such as the UID of a LoadTest"));
    }
    Ok(text.to_owned())
}
