//! Settings of every Kafka client, and waiting for topics.
//!
//! Linger 0 and a blocking poll loop decide the latency of a hop; acks of all replicas and idempotence cost nothing on
//! one broker. `queued.min.messages` must stay as it is: 1 would cost half a second a record.

mod consuming;
mod healing;
mod log_dirs;
mod member;
mod membership;
mod probe;
mod progress;
mod start;
mod trouble;
mod waiting;
mod words;

use std::time::{Duration, Instant};

use rdkafka::{ClientConfig, ClientContext, client::Client, error::KafkaResult};

use crate::backoff::Backoff;
pub use consuming::{Consuming, StartFrom};
pub use healing::{can_heal, code, code_can_heal};
pub use member::Member;
pub use membership::{Holder, Membership};
pub use probe::{Probe, before_joining};
pub use progress::{Committed, Progress, committed, offsets};
pub use waiting::{WaitError, look_for_topics, said, topics, wait_for_topics};
pub use words::Words;

/// Where Kafka is, and the names of the topics.
#[derive(clap::Args, Clone, Debug)]
pub struct Cluster {
    /// Comma-separated host:port addresses of brokers.
    #[arg(long, env = "TAILRACE_BOOTSTRAP_SERVERS")]
    pub bootstrap_servers: String,
    /// The topic of the images.
    #[arg(long, env = "TAILRACE_IMAGES_TOPIC", default_value = "iot_images")]
    pub images_topic: String,
    /// The topic of the answers.
    #[arg(long, env = "TAILRACE_INFERENCES_TOPIC", default_value = "inferences")]
    pub inferences_topic: String,
    /// The topic of what cannot be decoded or stored.
    #[arg(long, env = "TAILRACE_DEAD_LETTER_TOPIC", default_value = "iot_images.dlq")]
    pub dead_letter_topic: String,
}

impl Cluster {
    /// Settings of any client. A broker that is not there yet is tried again at least every second, and new partitions
    /// are seen within ten. No client creates a topic by asking for it.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", "tailrace-worker")
            .set("allow.auto.create.topics", "false")
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", "10000");
        config
    }

    /// Settings of a producer that sends at once, and gives a record up after two minutes.
    #[must_use]
    pub fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("linger.ms", "0")
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "120000");
        config
    }

    /// Settings of a consumer that commits what was stored with `store_offset` every half second.
    #[must_use]
    pub fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", group)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.offset.store", "false")
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "500")
            .set("fetch.wait.max.ms", "10")
            .set("queued.max.messages.kbytes", "16384");
        config
    }

    /// The three topics.
    #[must_use]
    pub fn topics(&self) -> [&str; 3] {
        [&self.images_topic, &self.inferences_topic, &self.dead_letter_topic]
    }
}

/// The codecs that Kafka's client was built with, by their names in a topic's `compression.type`.
const CODECS: [&str; 4] = ["gzip", "snappy", "lz4", "zstd"];

/// The codecs that this build can read, as in `gzip, snappy, lz4, zstd`: all, unless somebody builds it without one.
#[must_use]
pub fn codecs() -> String {
    let features = ClientConfig::new().create_native_config().and_then(|config| config.get("builtin.features"));
    let features = features.unwrap_or_default();
    let built_in = |codec: &&&str| features.split(',').any(|feature| feature == **codec);
    CODECS.iter().filter(built_in).copied().collect::<Vec<_>>().join(", ")
}

/// Whether this build can read a topic that has this `compression.type`. What `producer` means the records tell.
#[must_use]
pub fn is_readable(compression: &str) -> bool {
    matches!(compression, "producer" | "uncompressed") || codecs().split(", ").any(|codec| codec == compression)
}

/// The end of a partition, asked for again and again: one that is a second old may not have its leader yet.
///
/// # Errors
/// Of the last request, after `limit`.
pub fn end<C: ClientContext>(client: &Client<C>, topic: &str, partition: i32, limit: Duration) -> KafkaResult<i64> {
    let deadline = Instant::now() + limit;
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match client.fetch_watermarks(topic, partition, left) {
            Ok((_, end)) => return Ok(end),
            Err(error) if left.is_zero() || !can_heal(&error) => return Err(error),
            Err(error) => tracing::warn!("the end of {topic}/{partition} is asked for again: {error}"),
        }
        std::thread::sleep(backoff.delay().min(left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_build_reads_what_it_says_and_nothing_else() {
        assert_eq!(codecs(), "gzip, snappy, lz4, zstd", "every codec that a topic can be set to is built in");
        for codec in ["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"] {
            assert!(is_readable(codec), "{codec}");
        }
        for codec in ["brotli", "", "zst", "gzip, snappy"] {
            assert!(!is_readable(codec), "{codec}");
        }
    }
}
