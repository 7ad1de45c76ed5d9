//! A member of a consumer group, by the newest protocol that the broker has.

use std::time::Duration;

use anyhow::Context;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedMessage,
};

/// Takes records of topics that the members of a group share. Dropped, it leaves the group, which takes all its
/// partitions away.
pub struct Member<C: ConsumerContext + Clone + 'static> {
    consumer: BaseConsumer<C>,
    protocol: Protocol,
    config: ClientConfig,
    topics: Vec<String>,
    context: C,
}

/// Who tells the members of a group which partitions are theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// The broker, in its answers to heartbeats (KIP-848). When these come, and when a member counts as dead, are
    /// settings of the broker.
    Consumer,
    /// One of the members, for brokers that have nothing else.
    Classic,
}

impl Protocol {
    /// By the classic protocol members keep their partitions during a rebalance (cooperative-sticky) and learn of one
    /// within a second; a member that died is noticed after ten seconds.
    fn set(self, config: &mut ClientConfig) {
        match self {
            Self::Consumer => config.set("group.protocol", "consumer"),
            Self::Classic => config
                .set("group.protocol", "classic")
                .set("partition.assignment.strategy", "cooperative-sticky")
                .set("session.timeout.ms", "10000")
                .set("heartbeat.interval.ms", "1000"),
        };
    }
}

impl<C: ConsumerContext + Clone + 'static> Member<C> {
    /// Joins the group that `config` names.
    ///
    /// # Errors
    /// When Kafka's client cannot be set up.
    pub fn join(config: ClientConfig, topics: &[&str], context: C) -> anyhow::Result<Self> {
        let protocol = Protocol::Consumer;
        let consumer = subscribe(protocol, &config, topics, &context)?;
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Ok(Self { consumer, protocol, config, topics, context })
    }

    /// The next record, if one comes within `limit`. Must be called again and again: partitions come and go within.
    ///
    /// # Errors
    /// When Kafka's client cannot go on.
    pub fn poll(&mut self, limit: Duration) -> anyhow::Result<Option<OwnedMessage>> {
        match self.consumer.poll(limit) {
            Some(Ok(record)) => return Ok(Some(record.detach())),
            Some(Err(KafkaError::MessageConsumptionFatal(_))) => self.fall_back()?,
            Some(Err(error)) => tracing::warn!("{error}"),
            None => {}
        }
        Ok(None)
    }

    /// Its client.
    pub fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// Joins again by the classic protocol, if that is all that the broker has.
    fn fall_back(&mut self) -> anyhow::Result<()> {
        let (code, reason) = self.consumer.client().fatal_error().unwrap_or((RDKafkaErrorCode::Fatal, String::new()));
        if self.protocol == Protocol::Classic || !is_unsupported(code) {
            return Err(KafkaError::MessageConsumptionFatal(code))
                .context(reason)
                .context("Kafka's consumer cannot go on");
        }
        self.protocol = Protocol::Classic;
        let topics: Vec<_> = self.topics.iter().map(String::as_str).collect();
        self.consumer = subscribe(self.protocol, &self.config, &topics, &self.context)?;
        Ok(())
    }
}

/// The broker has no such request, or not this version of it, or is told not to answer it.
fn is_unsupported(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion)
}

fn subscribe<C: ConsumerContext + Clone + 'static>(
    protocol: Protocol,
    config: &ClientConfig,
    topics: &[&str],
    context: &C,
) -> anyhow::Result<BaseConsumer<C>> {
    let mut config = config.clone();
    protocol.set(&mut config);
    let group = config.get("group.id").unwrap_or_default().to_owned();
    let consumer: BaseConsumer<C> =
        config.create_with_context(context.clone()).context("cannot set up Kafka's consumer")?;
    consumer.subscribe(topics)?;
    match protocol {
        Protocol::Consumer => tracing::info!("joining the group {group} by the consumer protocol (KIP-848)"),
        Protocol::Classic => tracing::info!("the broker has no consumer protocol: joining {group} by the classic one"),
    }
    Ok(consumer)
}
