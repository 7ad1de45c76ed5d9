//! A member of a consumer group, by the newest protocol that the broker has.

use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::{
    ClientConfig, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::OwnedMessage,
};

use super::{
    membership::{Holder, Membership},
    trouble::Errors,
};
use crate::readiness::Part;

/// A member that has no partition after so long, two of a broker's default heartbeats, is a spare one.
const SPARE_AFTER: Duration = Duration::from_secs(10);
/// How long the group's coordinator may take to answer.
const COORDINATOR_LIMIT: Duration = Duration::from_secs(1);

/// Takes records of topics that the members of a group share. Dropped, it leaves the group, which takes all its
/// partitions away.
pub struct Member<H: Holder> {
    consumer: BaseConsumer<Membership<H>>,
    protocol: Protocol,
    config: ClientConfig,
    topics: Vec<String>,
    membership: Membership<H>,
    errors: Errors,
    /// When to see whether it is a spare member, unless that is known.
    look: Option<Instant>,
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

impl<H: Holder> Member<H> {
    /// Joins the group that `config` names. It is not ready when errors have lasted for `trouble_after`.
    ///
    /// # Errors
    /// When Kafka's client cannot be set up.
    pub fn join(
        config: ClientConfig,
        topics: &[&str],
        membership: Membership<H>,
        trouble_after: Duration,
    ) -> anyhow::Result<Self> {
        let protocol = Protocol::Consumer;
        let consumer = subscribe(protocol, &config, topics, &membership)?;
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let look = Some(Instant::now() + SPARE_AFTER);
        let errors = Errors::new(membership.readiness.clone(), trouble_after);
        Ok(Self { consumer, protocol, config, topics, membership, errors, look })
    }

    /// The next record, if one comes within `limit`. Must be called again and again: partitions come and go within.
    ///
    /// # Errors
    /// When Kafka's client cannot go on.
    pub fn poll(&mut self, limit: Duration) -> anyhow::Result<Option<OwnedMessage>> {
        match self.consumer.poll(limit) {
            Some(Ok(record)) => {
                let record = record.detach();
                self.membership.progress.came(&self.consumer, &record);
                self.errors.record_came(Instant::now());
                return Ok(Some(record));
            }
            Some(Err(KafkaError::MessageConsumptionFatal(_))) => self.fall_back()?,
            Some(Err(error)) => self.errors.came(&error, Instant::now()),
            None => {
                self.errors.nothing_came(Instant::now());
                self.look_whether_spare()?;
            }
        }
        Ok(None)
    }

    /// Everything up to `offset` is done: it is committed with the next automatic commit.
    pub fn done(&self, topic: &str, partition: i32, offset: i64) {
        self.membership.done(&self.consumer, topic, partition, offset);
    }

    /// By the consumer protocol nobody says to a member that there is no partition for it. It is ready all the same: to
    /// take over. A broker that does not take it for a member says so, and is heard in [`Self::poll`].
    fn look_whether_spare(&mut self) -> anyhow::Result<()> {
        if self.look.is_none_or(|due| Instant::now() < due) {
            return Ok(());
        }
        if self.consumer.assignment()?.count() > 0 {
            self.look = None;
            return Ok(());
        }
        let mut any = TopicPartitionList::new();
        for topic in &self.topics {
            any.add_partition(topic, 0);
        }
        if self.consumer.committed_offsets(any, COORDINATOR_LIMIT).is_ok() {
            self.look = None;
            tracing::info!("no partition is left for this member of the group");
            self.membership.readiness.fine(Part::Start);
        }
        Ok(())
    }

    /// Its client.
    pub fn consumer(&self) -> &BaseConsumer<Membership<H>> {
        &self.consumer
    }

    /// Takes nothing more of the partitions that are assigned now. Those that are assigned later are not paused.
    ///
    /// # Errors
    /// Of Kafka's client.
    pub fn pause(&self) -> KafkaResult<()> {
        self.consumer.pause(&self.consumer.assignment()?)
    }

    /// Takes records again.
    ///
    /// # Errors
    /// Of Kafka's client.
    pub fn resume(&self) -> KafkaResult<()> {
        self.consumer.resume(&self.consumer.assignment()?)
    }

    /// Joins again by the classic protocol, if that is all that the broker has.
    fn fall_back(&mut self) -> anyhow::Result<()> {
        let (code, reason) = self.consumer.client().fatal_error().unwrap_or((RDKafkaErrorCode::Fatal, String::new()));
        if self.protocol == Protocol::Classic || !is_unsupported(code) {
            return Err(KafkaError::MessageConsumptionFatal(code))
                .context(reason)
                .context("Kafka's consumer cannot go on");
        }
        (self.protocol, self.look) = (Protocol::Classic, None);
        let topics: Vec<_> = self.topics.iter().map(String::as_str).collect();
        self.consumer = subscribe(self.protocol, &self.config, &topics, &self.membership)?;
        Ok(())
    }
}

/// The broker has no such request, or not this version of it, or is told not to answer it.
fn is_unsupported(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion)
}

fn subscribe<H: Holder>(
    protocol: Protocol,
    config: &ClientConfig,
    topics: &[&str],
    membership: &Membership<H>,
) -> anyhow::Result<BaseConsumer<Membership<H>>> {
    let mut config = config.clone();
    protocol.set(&mut config);
    let group = config.get("group.id").unwrap_or_default().to_owned();
    let consumer: BaseConsumer<_> =
        config.create_with_context(membership.clone()).context("cannot set up Kafka's consumer")?;
    consumer.subscribe(topics)?;
    match protocol {
        Protocol::Consumer => tracing::info!("joining the group {group} by the consumer protocol (KIP-848)"),
        Protocol::Classic => tracing::info!("the broker has no consumer protocol: joining {group} by the classic one"),
    }
    Ok(consumer)
}
