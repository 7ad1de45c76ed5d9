//! Documents that have been kept for long enough.
//!
//! MongoDB deletes them by a TTL index. FerretDB has none; there the oldest are deleted in batches. In both, what was
//! stored before documents had a time of storing is kept.

use std::time::Duration;

use futures::TryStreamExt;
use mongodb::{
    Collection, Database, IndexModel,
    bson::{Bson, DateTime, Document, doc},
    error::{Error, ErrorKind, Result},
    options::IndexOptions,
};
use tokio_util::sync::CancellationToken;

use super::{
    database::{IMAGES, INFERENCES},
    documents::STORED_AT,
};
use crate::shutdown;

const INDEX: &str = "tailrace_retention";
/// The most documents that are deleted at once, and the pause after them: the archive must get on meanwhile.
pub const BATCH: i64 = 500;
/// See [`BATCH`].
pub const PAUSE: Duration = Duration::from_millis(100);
/// MongoDB's codes for an index or a collection that is not there, for one that is there with other options, and
/// FerretDB's for what it has not.
const NOT_FOUND: [i32; 2] = [26, 27];
const OTHER_OPTIONS: [i32; 2] = [85, 86];
const NOT_IMPLEMENTED: [i32; 2] = [59, 238];

/// Lets documents go.
pub struct Expiry {
    database: Database,
    retention: Option<Duration>,
    how: How,
}

/// What is known of the database.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Unknown,
    /// The database does it by itself.
    ByIndex,
    /// It has no TTL index.
    InBatches,
}

impl Expiry {
    /// Without a retention all are kept.
    pub fn new(database: Database, retention: Option<Duration>) -> Self {
        Self { database, retention, how: How::Unknown }
    }

    /// Does what is due.
    pub async fn enforce(&mut self, stop: &CancellationToken) -> Result<()> {
        for name in [IMAGES, INFERENCES] {
            let collection = self.database.collection::<Document>(name);
            match self.retention {
                None if self.how == How::Unknown => drop_index(&collection).await?,
                None => {}
                Some(kept) => self.enforce_on(&collection, kept, stop).await?,
            }
        }
        if self.how == How::Unknown {
            self.how = How::ByIndex;
        }
        Ok(())
    }

    async fn enforce_on(
        &mut self,
        collection: &Collection<Document>,
        kept: Duration,
        stop: &CancellationToken,
    ) -> Result<()> {
        if self.how == How::Unknown {
            match self.index(collection, kept).await {
                Err(error) if code(&error).is_some_and(|code| NOT_IMPLEMENTED.contains(&code)) => {
                    self.how = How::InBatches;
                    tracing::info!("the database has no TTL index: documents are deleted in batches");
                }
                outcome => outcome?,
            }
        }
        if self.how == How::InBatches {
            let before = DateTime::from_millis(DateTime::now().timestamp_millis() - kept.as_millis() as i64);
            let deleted = delete_older(collection, before, stop).await?;
            if deleted > 0 {
                tracing::info!("{deleted} documents of {} were kept for long enough: deleted", collection.name());
            }
        }
        Ok(())
    }

    async fn index(&self, collection: &Collection<Document>, kept: Duration) -> Result<()> {
        let options = IndexOptions::builder().name(INDEX.to_owned()).expire_after(kept).build();
        let index = IndexModel::builder().keys(doc! {STORED_AT: 1}).options(options).build();
        match collection.create_index(index).await {
            Err(error) if code(&error).is_some_and(|code| OTHER_OPTIONS.contains(&code)) => {
                let seconds = i64::try_from(kept.as_secs()).unwrap_or(i64::MAX);
                let index = doc! {"name": INDEX, "expireAfterSeconds": seconds};
                self.database.run_command(doc! {"collMod": collection.name(), "index": index}).await.map(drop)
            }
            outcome => outcome.map(drop),
        }
    }
}

async fn drop_index(collection: &Collection<Document>) -> Result<()> {
    let ignored = [&NOT_FOUND[..], &NOT_IMPLEMENTED].concat();
    match collection.drop_index(INDEX).await {
        Err(error) if code(&error).is_some_and(|code| ignored.contains(&code)) => Ok(()),
        outcome => outcome,
    }
}

/// Documents are found in the order in which they were stored: where the first one is not old, none is.
async fn delete_older(collection: &Collection<Document>, before: DateTime, stop: &CancellationToken) -> Result<u64> {
    let first = collection.find_one(doc! {}).projection(doc! {STORED_AT: 1}).await?;
    if first.and_then(|first| first.get_datetime(STORED_AT).ok().copied()).is_some_and(|stored| stored >= before) {
        return Ok(0);
    }
    let mut deleted = 0;
    while !stop.is_cancelled() {
        let batch = delete_batch(collection, doc! {STORED_AT: {"$lt": before}}).await?;
        if batch == 0 {
            break;
        }
        deleted += batch;
        shutdown::sleep(stop, PAUSE).await;
    }
    Ok(deleted)
}

/// Deletes some of the documents that match; how many.
///
/// # Errors
/// Of the database.
pub async fn delete_batch(collection: &Collection<Document>, filter: Document) -> Result<u64> {
    let found = collection.find(filter).projection(doc! {"_id": 1}).limit(BATCH).await?;
    let ids: Vec<Bson> = found.try_filter_map(async |found| Ok(found.get("_id").cloned())).try_collect().await?;
    if ids.is_empty() {
        return Ok(0);
    }
    Ok(collection.delete_many(doc! {"_id": {"$in": ids}}).await?.deleted_count)
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}
