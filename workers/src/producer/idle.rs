//! Waiting until the classifier has nothing left to do.

use std::time::{Duration, Instant};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    kafka::{Cluster, topics},
};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The classifier did not catch up.
#[derive(Debug, thiserror::Error)]
pub enum NotIdle {
    /// Images wait.
    #[error("the consumer group {group} is still {behind} images behind on {topic}: see whether the classifier runs")]
    Behind {
        /// The classifier's group.
        group: String,
        /// The topic of the images.
        topic: String,
        /// How many images it has not committed.
        behind: i64,
    },
    /// Kafka did not say.
    #[error("the lag of the consumer group {group} cannot be read: {source}")]
    Unknown {
        /// The classifier's group.
        group: String,
        /// Why.
        source: KafkaError,
    },
    /// The process was asked to stop meanwhile.
    #[error("stopped while waiting for the classifier")]
    Stopped,
}

/// Waits until `group` has committed every image of the topic.
///
/// # Errors
/// The state at `deadline`.
pub fn wait_until_idle(
    cluster: &Cluster,
    group: &str,
    deadline: Instant,
    stop: &CancellationToken,
) -> Result<(), NotIdle> {
    let topic = &cluster.images_topic;
    let unknown = |source| NotIdle::Unknown { group: group.to_owned(), source };
    // Reads the group's offsets without being a member.
    let mut config = cluster.client();
    let reader: BaseConsumer =
        config.set("group.id", group).set("enable.auto.commit", "false").create().map_err(unknown)?;
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    while !stop.is_cancelled() {
        let state = match lag(&reader, topic) {
            Ok(0) => return Ok(()),
            Ok(behind) => NotIdle::Behind { group: group.to_owned(), topic: topic.clone(), behind },
            Err(source) => unknown(source),
        };
        let delay = backoff.delay();
        if Instant::now() + delay >= deadline {
            return Err(state);
        }
        tracing::info!("waiting: {state}");
        std::thread::sleep(delay);
    }
    Err(NotIdle::Stopped)
}

/// How many records of the topic the group has not committed.
fn lag(reader: &BaseConsumer, topic: &str) -> Result<i64, KafkaError> {
    let partitions = topics(reader.client(), REQUEST_TIMEOUT)?.get(topic).copied().unwrap_or(0);
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_range(topic, 0, partitions - 1);
    let mut lag = 0;
    for committed in reader.committed_offsets(wanted, REQUEST_TIMEOUT)?.elements() {
        committed.error()?;
        let (low, high) = reader.fetch_watermarks(topic, committed.partition(), REQUEST_TIMEOUT)?;
        let done = match committed.offset() {
            Offset::Offset(offset) => offset.max(low),
            _ => low,
        };
        lag += (high - done).max(0);
    }
    Ok(lag)
}
