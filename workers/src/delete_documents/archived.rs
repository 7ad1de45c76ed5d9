//! Waiting until the db-consumer has archived what the topics hold: what it archives after the deletion would stay.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset,
    consumer::{BaseConsumer, Consumer},
    error::KafkaResult,
};

use crate::{
    backoff::Backoff,
    kafka::{Cluster, committed, offsets, topics},
};

/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// The offsets that a group reads next, or those of the ends, by topic and partition.
type Offsets = BTreeMap<(String, i32), i64>;

/// Returns as soon as `group` has committed all records that the topics of images and answers hold now, or when it has
/// committed nothing new for as long as `patience`: the markers of transactions at the end of a partition occupy
/// offsets that nobody commits, and a db-consumer that stands still must not keep the documents that are there.
pub fn wait_until_archived(cluster: &Cluster, group: &str, patience: Duration, deadline: Instant) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    let (mut ends, mut behind, mut got_on) = (None, None, Instant::now());
    loop {
        match look(cluster, group, &mut ends) {
            Ok(now) if now.is_empty() => return,
            Ok(now) if behind.as_ref() != Some(&now) => {
                tracing::info!("waiting: the consumer group {group} is {} records behind", now.values().sum::<i64>());
                (behind, got_on) = (Some(now), Instant::now());
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("how far the consumer group {group} is cannot be read: {error}"),
        }
        let delay = backoff.delay();
        if got_on.elapsed() + delay > patience || Instant::now() + delay > deadline {
            tracing::warn!("the consumer group {group} does not get on: what it archives from now on is not deleted");
            return;
        }
        thread::sleep(delay);
    }
}

/// How many records the group has to read to the ends, where it has any.
fn look(cluster: &Cluster, group: &str, ends: &mut Option<Offsets>) -> KafkaResult<Offsets> {
    let mut config = cluster.client();
    // Reads the group's offsets without being a member.
    let reader: BaseConsumer = config.set("group.id", group).set("enable.auto.commit", "false").create()?;
    let ends = match ends {
        Some(ends) => ends,
        None => ends.insert(read_ends(cluster, &reader)?),
    };
    let mut behind = Offsets::new();
    for topic in [&cluster.images_topic, &cluster.inferences_topic] {
        let partitions: Vec<i32> = ends.keys().filter(|(of, _)| of == topic).map(|(_, partition)| *partition).collect();
        let committed = committed(&reader, topic, &partitions, REQUEST_LIMIT)?;
        let begins = offsets(&reader, topic, &partitions, Offset::Beginning, REQUEST_LIMIT)?;
        for partition in partitions {
            let begin = begins.get(&partition).copied().unwrap_or_default();
            let next = committed.get(&partition).and_then(|committed| committed.next).unwrap_or(begin).max(begin);
            let key = (topic.clone(), partition);
            let left = ends[&key] - next;
            if left > 0 {
                behind.insert(key, left);
            }
        }
    }
    Ok(behind)
}

fn read_ends(cluster: &Cluster, reader: &BaseConsumer) -> KafkaResult<Offsets> {
    let found = topics(reader.client(), REQUEST_LIMIT)?;
    let mut ends = Offsets::new();
    for topic in [&cluster.images_topic, &cluster.inferences_topic] {
        let partitions: Vec<i32> = (0..found.get(topic).copied().unwrap_or_default()).collect();
        let of_topic = offsets(reader, topic, &partitions, Offset::End, REQUEST_LIMIT)?;
        ends.extend(of_topic.into_iter().map(|(partition, end)| ((topic.clone(), partition), end)));
    }
    Ok(ends)
}
