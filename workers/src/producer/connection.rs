//! Kafka as a producer of load sees it: a topic for its images, and a partition of its own for the answers.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::{accounts::Accounts, dataset::Picture};
use crate::{
    attempts::{Attempts, Obstacle},
    kafka::{Cluster, WaitError, Words, can_heal, look_for_topics, offsets, said},
};
use jiff::Timestamp;
use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    client::Client,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
    util::get_rdkafka_version,
};
use tailrace_wire::ImageEvent;

/// The settings that a result is published with.
const PUBLISHED_SETTINGS: [&str; 6] =
    ["acks", "enable.idempotence", "fetch.wait.max.ms", "linger.ms", "message.timeout.ms", "socket.nagle.disable"];

/// A warm connection in both directions.
pub struct Connection {
    producer: ThreadedProducer<Deliveries>,
    images_topic: String,
    images_partitions: i32,
    first_partition: i32,
    reply_partition: i32,
    source: String,
    pipeline: Option<String>,
    /// Takes the answers from the time of its making on; not in any group.
    pub replies: BaseConsumer,
    /// What was set on both clients.
    pub settings: BTreeMap<String, String>,
}

/// Who sends, and where to.
#[derive(Clone, Debug)]
pub struct Route {
    /// Kafka and the topics.
    pub cluster: Cluster,
    /// The `ce_source` of the images.
    pub source: String,
    /// The UID of the Pipeline whose answers count; any if there is none.
    pub pipeline: Option<String>,
    /// Which of the producers this one is, from 0.
    pub index: u32,
    /// How long Kafka may take to acknowledge an image.
    pub send_timeout: Duration,
}

/// There is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Kafka or its topics are not there.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// A request failed.
    #[error("{doing}: {}", said(source, words))]
    Kafka {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: KafkaError,
        /// What Kafka's client has said of its connections.
        words: Words,
    },
    /// The process was asked to stop meanwhile.
    #[error("stopped while connecting to Kafka")]
    Stopped,
}

impl Obstacle for ConnectError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Wait(wait) => wait.reason(),
            Self::Kafka { .. } => "NoAnswer",
            Self::Stopped => "Stopped",
        }
    }

    fn waiting_for(&self) -> String {
        match self {
            Self::Wait(wait) => wait.waiting_for(),
            Self::Kafka { .. } | Self::Stopped => self.to_string(),
        }
    }

    fn can_heal(&self) -> bool {
        match self {
            Self::Wait(wait) => wait.can_heal(),
            Self::Kafka { source, words, .. } => can_heal(source) && words.can_heal(),
            Self::Stopped => false,
        }
    }
}

/// Enters acknowledgements into the ledger.
struct Deliveries {
    accounts: Accounts,
    failed: AtomicBool,
    words: Words,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        self.words.hear(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, delivered: &DeliveryResult<'_>, sequence: usize) {
        match delivered {
            Ok(_) => self.accounts.acknowledged(sequence as u64),
            Err((error, _)) => self.fail(sequence as u64, error),
        }
    }
}

impl Deliveries {
    fn fail(&self, sequence: u64, error: &KafkaError) {
        self.accounts.ledger().send_failed(sequence);
        if !self.failed.swap(true, Ordering::Relaxed) {
            tracing::warn!("Kafka does not take image {sequence}: {error}; further send errors are only counted");
        }
    }
}

impl Connection {
    /// Waits for the topics, connects to the leaders of all partitions of the images, and takes the answers' partition
    /// `index` modulo partitions from its end on. Sends nothing.
    ///
    /// # Errors
    /// What was not there in time, or what cannot heal.
    pub fn open(route: Route, accounts: Accounts, attempts: &Attempts<'_>) -> Result<Self, ConnectError> {
        let Route { cluster, source, pipeline, index, send_timeout } = route;
        let mut config = cluster.producer();
        config.set("message.timeout.ms", send_timeout.as_millis().to_string());
        let settings = published(&[("producer", &config), ("consumer", &reply_settings(&cluster, &source))]);
        let words = Words::default();
        let failed = |doing: &str| {
            let (doing, words) = (doing.to_owned(), words.clone());
            move |source| ConnectError::Kafka { doing: doing.clone(), source, words: words.clone() }
        };
        let deliveries = Deliveries { accounts, failed: AtomicBool::new(false), words: words.clone() };
        let producer: ThreadedProducer<Deliveries> =
            ThreadedProducer::from_config_and_context(&config, deliveries).map_err(failed("connecting"))?;
        let topics = [cluster.images_topic.as_str(), cluster.inferences_topic.as_str()];
        let begun = Instant::now();
        let found = attempts.until_done(|limit| look_for_topics(producer.client(), &topics, (begun, limit), &words))?;
        let found = found.ok_or(ConnectError::Stopped)?;
        let (images_partitions, reply_partition) = (found[topics[0]], own_partition(index, found[topics[1]]));
        let replies =
            take_replies(&cluster, &source, reply_partition, attempts, &failed("taking the answers' partition"))?;
        let mut unknown = 0..images_partitions;
        let warm = attempts.until_done(|limit| {
            let connected = connect_to_leaders(producer.client(), topics[0], &mut unknown, limit);
            connected.map_err(failed("connecting to the leaders of the images' partitions"))
        })?;
        warm.ok_or(ConnectError::Stopped)?;
        Ok(Self {
            producer,
            images_partitions,
            first_partition: own_partition(index, images_partitions),
            reply_partition,
            source,
            pipeline,
            replies,
            settings,
            images_topic: cluster.images_topic,
        })
    }

    /// Hands an image to Kafka's client, which sends it at once. Images go round over the partitions. If the client
    /// does not take it, for instance because its queue is full, that is a send error.
    pub fn send(&self, picture: &Picture, sequence: u64) {
        let event = ImageEvent {
            id: sequence.to_string(),
            source: self.source.clone(),
            time: Timestamp::now(),
            content_type: picture.content_type.to_owned(),
            reply_partition: Some(self.reply_partition),
        };
        let turn = (sequence % self.images_partitions as u64) as i32;
        let record: BaseRecord<'_, (), [u8], usize> = BaseRecord::with_opaque_to(&self.images_topic, sequence as usize)
            .partition((self.first_partition + turn) % self.images_partitions)
            .headers(event.to_headers())
            .payload(&picture.bytes);
        if let Err((error, _)) = self.producer.send(record) {
            self.producer.context().fail(sequence, &error);
        }
    }

    /// How many records the topic of the images has had in all its life, from all sources.
    ///
    /// # Errors
    /// The request that failed, after `limit`.
    pub fn topic_records(&self, limit: Duration) -> KafkaResult<i64> {
        let partitions: Vec<_> = (0..self.images_partitions).collect();
        Ok(offsets(&self.replies, &self.images_topic, &partitions, Offset::End, limit)?.values().sum())
    }

    /// Whether an answer of this Pipeline counts.
    pub fn is_of_pipeline(&self, pipeline: Option<&str>) -> bool {
        self.pipeline.is_none() || self.pipeline.as_deref() == pipeline
    }

    /// The sequence number of the image that an answer with this subject is for, if it is one of this producer's.
    pub fn own_sequence(&self, subject: &str) -> Option<u64> {
        sequence_of(&self.source, subject)
    }
}

fn sequence_of(source: &str, subject: &str) -> Option<u64> {
    subject.strip_prefix(source)?.strip_prefix('/')?.parse().ok()
}

/// Partitions are at least one.
fn own_partition(index: u32, partitions: i32) -> i32 {
    (index % partitions.max(1) as u32) as i32
}

/// A request to each of them, which may take `limit`. What is left of `partitions` has not been asked.
fn connect_to_leaders<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partitions: &mut Range<i32>,
    limit: Duration,
) -> KafkaResult<()> {
    while partitions.start < partitions.end {
        client.fetch_watermarks(topic, partitions.start, limit)?;
        partitions.start += 1;
    }
    Ok(())
}

/// The group is named since the client wants a name; it is never joined, and nothing is committed.
fn reply_settings(cluster: &Cluster, source: &str) -> ClientConfig {
    let mut config = cluster.client();
    config
        .set("group.id", format!("tailrace-producer-{source}"))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "latest")
        .set("fetch.wait.max.ms", "10");
    config
}

fn take_replies(
    cluster: &Cluster,
    source: &str,
    partition: i32,
    attempts: &Attempts<'_>,
    failed: &impl Fn(KafkaError) -> ConnectError,
) -> Result<BaseConsumer, ConnectError> {
    let topic = &cluster.inferences_topic;
    let replies: BaseConsumer = reply_settings(cluster, source).create().map_err(failed)?;
    let end =
        attempts.until_done(|limit| replies.client().fetch_watermarks(topic, partition, limit).map_err(failed))?;
    let (_, end) = end.ok_or(ConnectError::Stopped)?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(end)).map_err(failed)?;
    replies.assign(&assignment).map_err(failed)?;
    tracing::info!("answers are taken from partition {partition} of {topic}, offset {end}");
    Ok(replies)
}

fn published(clients: &[(&str, &ClientConfig)]) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::from([("librdkafka".to_owned(), get_rdkafka_version().1)]);
    for (client, config) in clients {
        let chosen = PUBLISHED_SETTINGS.iter().filter_map(|name| Some((name, config.get(name)?)));
        settings.extend(chosen.map(|(name, value)| (format!("{client}.{name}"), value.to_owned())));
    }
    settings
}

#[cfg(test)]
mod tests {
    use tailrace_wire::subject;

    use super::*;

    #[test]
    fn only_answers_to_own_images_are_taken() {
        assert_eq!(sequence_of("uid-1", &subject("uid-1", "42")), Some(42));
        assert_eq!(sequence_of("uid-1", &subject("uid-10", "42")), None);
        assert_eq!(sequence_of("uid-1", &subject("camera", "uid-1")), None);
        assert_eq!(sequence_of("uid-1", &subject("uid-1", "picture")), None);
    }

    #[test]
    fn there_may_be_more_producers_than_partitions() {
        assert_eq!([0, 11, 12, 25].map(|index| own_partition(index, 12)), [0, 11, 0, 1]);
    }

    #[test]
    fn settings_are_published_and_addresses_are_not() {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "secret:9092").set("linger.ms", "0").set("sasl.password", "secret");
        let settings = published(&[("producer", &config)]);
        assert_eq!(settings["producer.linger.ms"], "0");
        assert!(settings.contains_key("librdkafka"));
        assert_eq!(settings.len(), 2, "{settings:?}");
    }
}
