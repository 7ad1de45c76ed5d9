//! Batches into the database, and what it refuses onto the dead-letter topic.

use std::time::Duration;

use mongodb::{
    Collection, Database,
    bson::Document,
    error::{ErrorKind, InsertManyError},
};
use rdkafka::{Message, error::KafkaError, message::OwnedMessage};

use super::{
    database::{IMAGES, INFERENCES},
    documents,
    metrics::{Metrics, Outcome},
};
use crate::{
    dead_letter::{self, DeadLetters},
    kafka::Cluster,
};

/// How long one insertion may take before it counts as failed.
const INSERT_LIMIT: Duration = Duration::from_secs(30);
/// MongoDB's codes of a duplicate key.
const DUPLICATE_KEY: [i32; 3] = [11000, 11001, 12582];
/// MongoDB's codes of a single write that the document itself is at fault for: BadValue, InvalidBSON,
/// DocumentValidationFailure, BSONObjectTooLarge, KeyTooLong. Any other error is the server's, and passes.
/// Source: <https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml>.
const DOCUMENT_AT_FAULT: [i32; 5] = [2, 22, 121, 10334, 17280];

/// Why a batch is not stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not take it now. Trying again is safe.
    #[error("the database does not take documents: {0}")]
    Away(String),
    /// A record can neither be stored nor sent to the dead-letter topic.
    #[error("the record {origin} cannot be stored, and Kafka does not take its dead letter: {source}")]
    NotKept {
        /// Its topic, partition and offset.
        origin: String,
        /// What Kafka says.
        source: KafkaError,
    },
}

/// The two collections.
pub struct Archive {
    images_topic: String,
    images: Collection<Document>,
    inferences: Collection<Document>,
    dead_letters: DeadLetters,
    metrics: Metrics,
}

/// Records of one topic with their documents, in the same order.
#[derive(Default)]
struct Batch<'r> {
    records: Vec<&'r OwnedMessage>,
    documents: Vec<Document>,
}

/// A record that the database will never take, and why.
type Refused<'r> = (&'r OwnedMessage, String);

impl Archive {
    pub fn new(cluster: &Cluster, database: &Database, dead_letters: DeadLetters, metrics: Metrics) -> Self {
        Self {
            images_topic: cluster.images_topic.clone(),
            images: database.collection(IMAGES),
            inferences: database.collection(INFERENCES),
            dead_letters,
            metrics,
        }
    }

    /// Stores all records, or keeps them as dead letters. May be repeated with the same records.
    pub async fn store(&self, records: &[OwnedMessage]) -> Result<(), StoreError> {
        let (mut images, mut inferences, mut refused) = (Batch::default(), Batch::default(), Vec::new());
        for record in records {
            if record.topic() == self.images_topic {
                images.add(record, documents::image(record));
            } else {
                match documents::inference(record) {
                    Ok(document) => inferences.add(record, document),
                    Err(error) => refused.push((record, error.to_string())),
                }
            }
        }
        refused.extend(self.insert(&self.images, &images).await?);
        refused.extend(self.insert(&self.inferences, &inferences).await?);
        for (record, reason) in refused {
            self.keep(record, &reason).await?;
        }
        Ok(())
    }

    async fn insert<'r>(
        &self,
        collection: &Collection<Document>,
        batch: &Batch<'r>,
    ) -> Result<Vec<Refused<'r>>, StoreError> {
        let Some(first) = batch.records.first() else { return Ok(Vec::new()) };
        let mut inserted = insert_many(collection, &batch.documents).await;
        if let Err(Failure::Documents(_)) = inserted {
            inserted = insert_each(collection, &batch.documents).await;
        }
        let inserted = inserted.map_err(|failure| {
            self.metrics.failure();
            StoreError::Away(failure.reason())
        })?;
        let stored = batch.records.len() - inserted.duplicates - inserted.refused.len();
        self.metrics.records(first.topic(), Outcome::Stored, stored);
        self.metrics.records(first.topic(), Outcome::Duplicate, inserted.duplicates);
        Ok(inserted.refused.into_iter().map(|(index, reason)| (batch.records[index], reason)).collect())
    }

    async fn keep(&self, record: &OwnedMessage, reason: &str) -> Result<(), StoreError> {
        let origin = dead_letter::origin(record);
        tracing::warn!("the record {origin} cannot be stored: {reason}");
        self.dead_letters.keep(record, reason).await.map_err(|source| StoreError::NotKept { origin, source })?;
        self.metrics.records(record.topic(), Outcome::DeadLettered, 1);
        Ok(())
    }
}

impl<'r> Batch<'r> {
    fn add(&mut self, record: &'r OwnedMessage, document: Document) {
        self.records.push(record);
        self.documents.push(document);
    }
}

/// What an insertion came to; all documents that are neither counted nor listed here were stored.
#[derive(Debug, Default, PartialEq)]
struct Inserted {
    duplicates: usize,
    refused: Vec<(usize, String)>,
}

/// Why an insertion as a whole failed.
enum Failure {
    /// The server is away or cannot write.
    Server(String),
    /// The driver does not even send them: some document is at fault, it is not known which.
    Documents(String),
}

impl Failure {
    fn reason(self) -> String {
        match self {
            Self::Server(reason) | Self::Documents(reason) => reason,
        }
    }
}

async fn insert_many(collection: &Collection<Document>, documents: &[Document]) -> Result<Inserted, Failure> {
    let inserting = collection.insert_many(documents).ordered(false);
    match tokio::time::timeout(INSERT_LIMIT, inserting.into_future()).await {
        Ok(Ok(_)) => Ok(Inserted::default()),
        Ok(Err(error)) => judge(&error),
        Err(_) => Err(Failure::Server(format!("no answer within {INSERT_LIMIT:?}"))),
    }
}

async fn insert_each(collection: &Collection<Document>, documents: &[Document]) -> Result<Inserted, Failure> {
    let mut all = Inserted::default();
    for (index, document) in documents.iter().enumerate() {
        match insert_many(collection, std::slice::from_ref(document)).await {
            Ok(one) => {
                all.duplicates += one.duplicates;
                all.refused.extend(one.refused.into_iter().map(|(_, reason)| (index, reason)));
            }
            Err(Failure::Documents(reason)) => all.refused.push((index, reason)),
            Err(failure) => return Err(failure),
        }
    }
    Ok(all)
}

fn judge(error: &mongodb::error::Error) -> Result<Inserted, Failure> {
    match &*error.kind {
        ErrorKind::InsertMany(error) => judge_each(error),
        // A command that is refused as a whole, such as one with a write concern that a standalone server cannot
        // fulfil, is no fault of its documents, whatever its code: the server names those one by one.
        ErrorKind::Bson(_) | ErrorKind::BsonSerialization(_) | ErrorKind::InvalidArgument { .. } => {
            Err(Failure::Documents(error.to_string()))
        }
        _ => Err(Failure::Server(error.to_string())),
    }
}

fn judge_each(error: &InsertManyError) -> Result<Inserted, Failure> {
    if let Some(concern) = &error.write_concern_error {
        return Err(Failure::Server(concern.message.clone()));
    }
    let mut inserted = Inserted::default();
    for write in error.write_errors.iter().flatten() {
        match write.code {
            code if DUPLICATE_KEY.contains(&code) => inserted.duplicates += 1,
            code if DOCUMENT_AT_FAULT.contains(&code) => inserted.refused.push((write.index, write.message.clone())),
            code => return Err(Failure::Server(format!("{} (code {code})", write.message))),
        }
    }
    Ok(inserted)
}
