//! Kafka as a producer of load sees it: a topic for its images, and a partition of its own for the answers.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
    util::get_rdkafka_version,
};
use tailrace_wire::ImageEvent;
use tokio_util::sync::CancellationToken;

use super::{accounts::Accounts, dataset::Picture};
use crate::kafka::{self, Cluster, WaitError, wait_for_topics};

/// How long one request to a broker may take while the producer becomes ready.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
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
    #[error("{doing}: {source}")]
    Kafka {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: KafkaError,
    },
}

/// Enters acknowledgements into the ledger.
struct Deliveries {
    accounts: Accounts,
    failed: AtomicBool,
}

impl ClientContext for Deliveries {}

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
    /// Waits for the topics for at most `limit`, connects to the leaders of all partitions of the images, and takes the
    /// answers' partition `index` modulo partitions from its end on. Sends nothing.
    ///
    /// # Errors
    /// What was not there in time, or the request that failed.
    pub fn open(
        route: Route,
        accounts: Accounts,
        limit: Duration,
        stop: &CancellationToken,
    ) -> Result<Self, ConnectError> {
        let Route { cluster, source, pipeline, index, send_timeout } = route;
        let mut config = cluster.producer();
        config.set("message.timeout.ms", send_timeout.as_millis().to_string());
        let settings = published(&[("producer", &config), ("consumer", &reply_settings(&cluster, &source))]);
        let deliveries = Deliveries { accounts, failed: AtomicBool::new(false) };
        let producer =
            ThreadedProducer::from_config_and_context(&config, deliveries).map_err(while_doing("connecting"))?;
        let topics = [cluster.images_topic.as_str(), cluster.inferences_topic.as_str()];
        let found = wait_for_topics(producer.client(), &topics, limit, stop)?;
        let images_partitions = found[topics[0]];
        for partition in 0..images_partitions {
            let asked = kafka::end(producer.client(), topics[0], partition, REQUEST_TIMEOUT);
            asked.map_err(while_doing("connecting to the leaders of the images' partitions"))?;
        }
        let reply_partition = own_partition(index, found[topics[1]]);
        let replies = take_replies(&cluster, &source, reply_partition)?;
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
    /// The request that failed.
    pub fn topic_records(&self) -> Result<i64, ConnectError> {
        (0..self.images_partitions)
            .map(|partition| kafka::end(self.producer.client(), &self.images_topic, partition, REQUEST_TIMEOUT))
            .sum::<Result<i64, _>>()
            .map_err(while_doing("counting the images of all sources"))
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

fn while_doing(doing: &str) -> impl Fn(KafkaError) -> ConnectError {
    move |source| ConnectError::Kafka { doing: doing.to_owned(), source }
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

fn take_replies(cluster: &Cluster, source: &str, partition: i32) -> Result<BaseConsumer, ConnectError> {
    let topic = &cluster.inferences_topic;
    let failed = while_doing("taking the answers' partition");
    let replies: BaseConsumer = reply_settings(cluster, source).create().map_err(&failed)?;
    let end = kafka::end(replies.client(), topic, partition, REQUEST_TIMEOUT).map_err(&failed)?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(end)).map_err(&failed)?;
    replies.assign(&assignment).map_err(&failed)?;
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
