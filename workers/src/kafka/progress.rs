//! How far a member of a group has got: what waits, since when, and what Kafka deleted before it could be read.
//!
//! Kafka deletes the oldest segments of a partition when it is full, read or not. A record whose offset is higher than
//! the one that was expected shows it, unless the offsets between are those of a transaction's markers or of compacted
//! records: what lies before the beginning of the log was deleted, and only that is counted. The count of a partition
//! is committed with its offset, as the metadata `skipped=N`, so that it outlives the members, and whoever may read the
//! group's offsets can compare it before and after.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaResult,
    message::OwnedMessage,
};

use crate::readiness::Readiness;

/// How long the broker may take to say where a partition begins, or what is committed.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// How long the beginning of a partition holds, so that a camera that sends each image in a transaction of its own does
/// not cost a request for each.
const BEGIN_HOLDS: Duration = Duration::from_millis(100);
/// The metadata of a committed offset: how many records of the partition were deleted before the group read them.
const SKIPPED: &str = "skipped=";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Topic {
    topic: String,
}

/// Of the partitions that are assigned; clones count together.
#[derive(Clone)]
pub struct Progress {
    positions: Arc<Mutex<BTreeMap<(String, i32), Position>>>,
    readiness: Readiness,
    lag: Family<Topic, Gauge>,
    age: Gauge<f64, AtomicU64>,
    skipped: Family<Topic, Counter>,
}

#[derive(Debug, Default)]
struct Position {
    /// The offset that comes next; none before that is known.
    next: Option<i64>,
    /// What came and is not done: offset and timestamp in milliseconds, in ascending order of offsets.
    taken: VecDeque<(i64, Option<i64>)>,
    /// How many records were deleted before the group read them.
    skipped: u64,
    /// Where the partition began when that was asked last.
    begin: Option<(Instant, i64)>,
}

/// What a group has committed of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The offset that it reads next; none if it has committed nothing.
    pub next: Option<i64>,
    /// How many records were deleted before it read them.
    pub skipped: u64,
}

impl Progress {
    /// Nothing is assigned.
    #[must_use]
    pub fn new(readiness: Readiness) -> Self {
        Self {
            positions: Arc::default(),
            readiness,
            lag: Family::default(),
            age: Gauge::default(),
            skipped: Family::default(),
        }
    }

    /// Its metrics.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("tailrace_consumer");
        registry.register(
            "lag_records",
            "Records of the assigned partitions that are not done yet, by topic",
            self.lag.clone(),
        );
        registry.register_with_unit(
            "oldest_record_age",
            "How long ago the oldest record was made that was taken and is not done yet; 0 if there is none",
            Unit::Seconds,
            self.age.clone(),
        );
        registry.register(
            "skipped_records",
            "Records that Kafka deleted before they could be read, by topic",
            self.skipped.clone(),
        );
    }

    /// These partitions are this member's now.
    pub fn assigned(&self, partitions: &TopicPartitionList) {
        let mut positions = self.lock();
        for partition in partitions.elements() {
            positions.insert((partition.topic().to_owned(), partition.partition()), Position::default());
        }
    }

    /// These partitions are somebody else's now.
    pub fn revoked(&self, partitions: &TopicPartitionList) {
        let mut positions = self.lock();
        for partition in partitions.elements() {
            positions.remove(&(partition.topic().to_owned(), partition.partition()));
        }
    }

    /// A record came. What was deleted before it is counted.
    pub fn came<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>, record: &OwnedMessage) {
        let (topic, partition, offset) = (record.topic(), record.partition(), record.offset());
        if !self.knows(topic, partition) {
            let committed = committed(consumer, topic, &[partition], REQUEST_LIMIT);
            self.begins(topic, &committed.unwrap_or_default());
        }
        let mut positions = self.lock();
        let position = positions.entry((topic.to_owned(), partition)).or_default();
        let expected = position.next.replace(offset + 1).unwrap_or(offset);
        if offset < expected {
            // It is delivered again.
            position.taken.clear();
        }
        position.taken.push_back((offset, record.timestamp().to_millis()));
        drop(positions);
        if offset > expected {
            self.gap(consumer, record, expected);
        }
    }

    /// The offsets from `expected` on did not come.
    fn gap<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>, record: &OwnedMessage, expected: i64) {
        let (topic, partition) = (record.topic(), record.partition());
        let Some(begin) = self.begin(consumer, topic, partition) else { return };
        let deleted = u64::try_from(begin.min(record.offset()) - expected).unwrap_or_default();
        if deleted == 0 {
            return;
        }
        tracing::warn!(
            "Kafka deleted {deleted} records of {topic}/{partition}, from offset {expected} on, before they were read: \
             they came faster than they were done, and the topic's retention is shorter than the delay"
        );
        self.skipped.get_or_create(&Topic { topic: topic.to_owned() }).inc_by(deleted);
        if let Some(position) = self.lock().get_mut(&(topic.to_owned(), partition)) {
            position.skipped += deleted;
        }
        self.readiness.skipped(deleted);
    }

    /// Where a partition begins.
    fn begin<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>, topic: &str, partition: i32) -> Option<i64> {
        let key = (topic.to_owned(), partition);
        let known = self.lock().get(&key).and_then(|position| position.begin);
        if let Some((_, begin)) = known.filter(|(asked, _)| asked.elapsed() < BEGIN_HOLDS) {
            return Some(begin);
        }
        match consumer.fetch_watermarks(topic, partition, REQUEST_LIMIT) {
            Ok((begin, _)) => {
                if let Some(position) = self.lock().get_mut(&key) {
                    position.begin = Some((Instant::now(), begin));
                }
                Some(begin)
            }
            Err(error) => {
                tracing::warn!("where {topic}/{partition} begins is not known: {error}");
                None
            }
        }
    }

    /// Everything up to `offset` is done: it is committed with the next automatic commit.
    ///
    /// # Errors
    /// Of Kafka's client, for example when the partition is not assigned any more.
    pub fn done<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> KafkaResult<()> {
        let mut skipped = 0;
        if let Some(position) = self.lock().get_mut(&(topic.to_owned(), partition)) {
            skipped = position.skipped;
            while position.taken.front().is_some_and(|(taken, _)| *taken <= offset) {
                position.taken.pop_front();
            }
        }
        let mut stored = TopicPartitionList::with_capacity(1);
        let mut element = stored.add_partition(topic, partition);
        element.set_offset(Offset::Offset(offset + 1))?;
        if skipped > 0 {
            element.set_metadata(format!("{SKIPPED}{skipped}"));
        }
        consumer.store_offsets(&stored)
    }

    /// Shows how old the oldest record is that is not done.
    pub fn show_age(&self) {
        let positions = self.lock();
        let oldest = positions.values().filter_map(|position| position.taken.front()?.1).min();
        let now = Timestamp::now().as_millisecond();
        self.age.set(oldest.map_or(0.0, |made| (now - made).max(0) as f64 / 1000.0));
    }

    /// Shows how many records are not done, given a reader of the group's offsets.
    ///
    /// # Errors
    /// Of Kafka's client.
    pub fn show_lag(&self, reader: &BaseConsumer) -> KafkaResult<()> {
        let mut by_topic: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in self.lock().keys() {
            by_topic.entry(topic.clone()).or_default().push(*partition);
        }
        for (topic, partitions) in by_topic {
            let unknown: Vec<i32> = partitions.iter().copied().filter(|number| !self.knows(&topic, *number)).collect();
            if !unknown.is_empty() {
                self.begins(&topic, &committed(reader, &topic, &unknown, REQUEST_LIMIT)?);
            }
            let begins = offsets(reader, &topic, &partitions, Offset::Beginning, REQUEST_LIMIT)?;
            let ends = offsets(reader, &topic, &partitions, Offset::End, REQUEST_LIMIT)?;
            let positions = self.lock();
            let lag = ends.into_iter().filter_map(|(partition, end)| {
                let position = positions.get(&(topic.clone(), partition))?;
                let next = position.taken.front().map(|(offset, _)| *offset).or(position.next);
                // What has been deleted is not waited for, and a group without a place begins at the beginning.
                let begin = begins.get(&partition).copied()?;
                Some((end - next.unwrap_or(begin).max(begin)).max(0))
            });
            self.lag.get_or_create(&Topic { topic: topic.clone() }).set(lag.sum());
        }
        Ok(())
    }

    fn knows(&self, topic: &str, partition: i32) -> bool {
        self.lock().get(&(topic.to_owned(), partition)).is_some_and(|position| position.next.is_some())
    }

    /// Takes over what is committed, where nothing has come yet.
    fn begins(&self, topic: &str, committed: &BTreeMap<i32, Committed>) {
        let mut positions = self.lock();
        for (partition, committed) in committed {
            if let Some(position) = positions.get_mut(&(topic.to_owned(), *partition))
                && position.next.is_none()
            {
                (position.next, position.skipped) = (committed.next, committed.skipped);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, i32), Position>> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the group of `consumer` has committed of these partitions.
///
/// # Errors
/// Of Kafka's client, after `limit`.
pub fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
    limit: Duration,
) -> KafkaResult<BTreeMap<i32, Committed>> {
    let mut wanted = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        wanted.add_partition(topic, *partition);
    }
    let found = consumer.committed_offsets(wanted, limit)?;
    let elements = found.elements();
    let each = elements.iter().map(|element| {
        element.error()?;
        let next = match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        let skipped = element.metadata().strip_prefix(SKIPPED).and_then(|count| count.parse().ok());
        Ok((element.partition(), Committed { next, skipped: skipped.unwrap_or_default() }))
    });
    each.collect()
}

/// Where these partitions begin or end: one request for each broker.
///
/// # Errors
/// Of Kafka's client, after `limit`.
pub fn offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
    which: Offset,
    limit: Duration,
) -> KafkaResult<BTreeMap<i32, i64>> {
    let mut wanted = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        wanted.add_partition_offset(topic, *partition, which)?;
    }
    // A request for an offset by its time, where -2 and -1 are the beginning and the end.
    let found = consumer.offsets_for_times(wanted, limit)?;
    let elements = found.elements();
    let each = elements.iter().map(|element| {
        element.error()?;
        Ok((element.partition(), element.offset().to_raw().unwrap_or_default()))
    });
    each.collect()
}
