//! Images and answers on their way from Kafka.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{Message, message::OwnedMessage};
use tokio_util::sync::CancellationToken;

use crate::{
    kafka::{Consuming, Member, Membership, Progress},
    readiness::Readiness,
};

/// The poll blocks for at most this long, so that the end of the process is noticed.
const POLL: Duration = Duration::from_millis(100);
/// The most records of a batch, and the size from which it takes no more.
const MOST_RECORDS: usize = 500;
const MOST_BYTES: usize = 4 << 20;

/// A member of the group that takes images and answers. Dropped, it commits what is stored and leaves the group.
pub struct Records {
    member: Member<()>,
    /// Came during a pause; the beginning of the next batch.
    early: Vec<OwnedMessage>,
}

impl Records {
    /// Joins the group. Kafka gathers records for up to a quarter of a second: nobody waits for the archive, and few
    /// large batches leave the processor to those who are waited for.
    pub fn subscribe(consuming: &Consuming, readiness: Readiness, progress: Progress) -> anyhow::Result<Self> {
        let cluster = &consuming.cluster;
        let mut config = cluster.consumer(&consuming.group);
        config.set("fetch.wait.max.ms", "250").set("fetch.min.bytes", "65536");
        let topics: [&str; 2] = [&cluster.images_topic, &cluster.inferences_topic];
        let membership = Membership { holder: (), readiness, progress };
        let member = Member::join(config, &topics, membership, consuming.trouble_after.get())?;
        Ok(Self { member, early: Vec::new() })
    }

    /// What is there, and empty if nothing comes for a moment.
    ///
    /// # Errors
    /// When Kafka's client cannot go on.
    pub fn next(&mut self) -> anyhow::Result<Vec<OwnedMessage>> {
        let mut batch = std::mem::take(&mut self.early);
        if batch.is_empty() {
            batch.extend(self.member.poll(POLL)?);
        }
        let mut bytes = batch.iter().map(size).sum::<usize>();
        while !batch.is_empty() && batch.len() < MOST_RECORDS && bytes < MOST_BYTES {
            let Some(record) = self.member.poll(Duration::ZERO)? else { break };
            bytes += size(&record);
            batch.push(record);
        }
        Ok(batch)
    }

    /// These records are stored: their offsets are committed with the next automatic commit.
    pub fn finish(&self, batch: &[OwnedMessage]) {
        let last: BTreeMap<_, _> =
            batch.iter().map(|record| ((record.topic(), record.partition()), record.offset())).collect();
        for ((topic, partition), offset) in last {
            self.member.done(topic, partition, offset);
        }
    }

    /// Takes nothing for a while, and stays in the group.
    ///
    /// # Errors
    /// When Kafka's client cannot go on.
    pub fn pause(&mut self, delay: Duration, stop: &CancellationToken) -> anyhow::Result<()> {
        let until = Instant::now() + delay;
        self.member.pause()?;
        while Instant::now() < until && !stop.is_cancelled() {
            if let Some(record) = self.member.poll(POLL.min(until.saturating_duration_since(Instant::now())))? {
                // Of a partition that was assigned meanwhile.
                self.early.push(record);
                self.member.pause()?;
            }
        }
        Ok(self.member.resume()?)
    }
}

fn size(record: &OwnedMessage) -> usize {
    record.payload().map_or(0, <[u8]>::len)
}
