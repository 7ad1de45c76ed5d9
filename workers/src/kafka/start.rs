//! Where a group begins that has never read.
//!
//! A group that begins with the oldest record needs nothing: until it commits, its members begin there again. A group
//! that begins with what comes next must know its place before it has read anything: a member that ended before its
//! first commit would be followed by one that begins later, and what came between would be skipped. So the ends of all
//! partitions are committed before the first member joins. Partitions that are added later have nothing committed and
//! are read from their beginning.

use std::{collections::BTreeMap, thread, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::KafkaResult,
};
use tokio_util::sync::CancellationToken;

use super::{
    progress::{committed, offsets},
    topics,
};
use crate::backoff::Backoff;

/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// Gives a group that has never read the ends of these topics, however long Kafka takes to accept it. A group that has
/// committed anything is left alone.
pub fn at_the_end(reader: &BaseConsumer, group: &str, names: &[&str], stop: &CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    while !stop.is_cancelled() {
        match commit_ends(reader, names) {
            Ok(true) => return tracing::info!("the group {group} is new and begins with what comes from now on"),
            Ok(false) => return,
            Err(error) => {
                tracing::warn!("the group {group} has no place to begin yet: {error}");
                thread::sleep(backoff.delay());
            }
        }
    }
}

/// Whether the group was new.
fn commit_ends(reader: &BaseConsumer, names: &[&str]) -> KafkaResult<bool> {
    let found = topics(reader.client(), REQUEST_LIMIT)?;
    let partitions: BTreeMap<&str, Vec<i32>> =
        names.iter().map(|name| (*name, (0..found.get(*name).copied().unwrap_or_default()).collect())).collect();
    for (name, numbers) in &partitions {
        if committed(reader, name, numbers, REQUEST_LIMIT)?.values().any(|committed| committed.next.is_some()) {
            return Ok(false);
        }
    }
    let mut places = TopicPartitionList::new();
    for (name, numbers) in &partitions {
        for (partition, end) in offsets(reader, name, numbers, Offset::End, REQUEST_LIMIT)? {
            places.add_partition_offset(name, partition, Offset::Offset(end))?;
        }
    }
    // A group that has members refuses it: then one of them has been here, which the next attempt sees.
    reader.commit(&places, CommitMode::Sync)?;
    Ok(true)
}
