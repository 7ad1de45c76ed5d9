//! The images on their way from Kafka.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::KafkaResult,
    message::OwnedMessage,
};
use tailrace_wire::ImageEvent;
use tokio_util::sync::CancellationToken;

use super::{Destination, Image, answers::Answers, in_flight::InFlight};
use crate::{
    http::Readiness,
    kafka::{self, Cluster, Member, log_commit},
};

/// The poll blocks for at most this long, so that the end of the process is noticed.
const POLL: Duration = Duration::from_millis(100);
/// A destination that has no room for so long is waited for without taking anything from Kafka.
const ROOM_PATIENCE: Duration = Duration::from_secs(1);
/// How long images of partitions that are taken away may still be answered by this member.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(10);

/// A member of the group that takes images. Dropped, it leaves the group, which takes all its partitions away.
pub struct Images {
    member: Member<Membership>,
}

impl Images {
    /// Joins the group.
    pub fn subscribe(
        cluster: &Cluster,
        group: &str,
        in_flight: Arc<InFlight>,
        readiness: Readiness,
    ) -> anyhow::Result<Self> {
        let topic = cluster.images_topic.clone();
        let membership = Membership { topic, in_flight, readiness: readiness.clone() };
        let member = Member::join(cluster.consumer(group), &[&cluster.images_topic], membership, readiness)?;
        Ok(Self { member })
    }

    /// Brings images until asked to stop. A full destination holds this thread, and with it Kafka, up.
    pub fn pump(
        &mut self,
        destination: &impl Destination,
        answers: &Arc<Answers>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        while !stop.is_cancelled() {
            if destination.wait_for_room(ROOM_PATIENCE) {
                self.bring(destination, answers)?;
            } else {
                self.wait_for_room(destination, answers, stop)?;
            }
        }
        Ok(())
    }

    /// Takes nothing, and polls all the same: a member that does not is put out of its group.
    fn wait_for_room(
        &mut self,
        destination: &impl Destination,
        answers: &Arc<Answers>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        self.consumer().pause(&self.consumer().assignment()?)?;
        while !stop.is_cancelled() && !destination.wait_for_room(Duration::ZERO) {
            if self.bring(destination, answers)? {
                // It is of a partition that was assigned meanwhile.
                self.consumer().pause(&self.consumer().assignment()?)?;
            }
        }
        Ok(self.consumer().resume(&self.consumer().assignment()?)?)
    }

    /// Brings the next image, if one comes soon.
    fn bring(&mut self, destination: &impl Destination, answers: &Arc<Answers>) -> anyhow::Result<bool> {
        let record = self.member.poll(POLL)?;
        let came = record.is_some();
        if let Some(record) = record {
            destination.push(self.image(record, answers));
        }
        self.consumer().context().store_answered(self.consumer());
        Ok(came)
    }

    fn consumer(&self) -> &BaseConsumer<Membership> {
        self.member.consumer()
    }

    fn image(&self, record: OwnedMessage, answers: &Arc<Answers>) -> Image {
        let taken_away = self.consumer().context().in_flight.begin(record.partition(), record.offset());
        let event = ImageEvent::from_record(&record);
        Image { record, event, arrived: Instant::now(), answers: answers.clone(), taken_away }
    }
}

/// What to do as partitions come and go.
#[derive(Clone)]
struct Membership {
    topic: String,
    in_flight: Arc<InFlight>,
    readiness: Readiness,
}

impl Membership {
    /// What is stored is committed by the next automatic commit.
    fn store_answered(&self, consumer: &BaseConsumer<Self>) {
        for (partition, offset) in self.in_flight.take_answered() {
            if let Err(error) = consumer.store_offset(&self.topic, partition, offset) {
                tracing::warn!("offset {offset} of partition {partition} is not stored: {error}");
            }
        }
    }

    /// Waits until what was taken is answered, and commits.
    fn hand_over(&self, consumer: &BaseConsumer<Self>, revoked: impl Fn(i32) -> bool) {
        let unanswered = self.in_flight.drain(&revoked, HAND_OVER_LIMIT);
        if unanswered > 0 {
            tracing::warn!(
                "{unanswered} images have no answer after {HAND_OVER_LIMIT:?}: they will be delivered again"
            );
        }
        self.store_answered(consumer);
        self.in_flight.forget(revoked);
        log_commit(consumer.commit_consumer_state(CommitMode::Sync));
    }
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        kafka::log(level, facility, message);
    }
}

impl ConsumerContext for Membership {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(list) = rebalance else { return };
        tracing::info!("partitions taken away: {}", kafka::list(list));
        let revoked: HashSet<i32> = list.elements().iter().map(|element| element.partition()).collect();
        if consumer.assignment_lost() {
            // They have another owner already, who begins at the last commit.
            self.in_flight.forget(|partition| revoked.contains(&partition));
        } else {
            self.hand_over(consumer, |partition| revoked.contains(&partition));
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            tracing::info!("partitions assigned: {}", kafka::list(list));
            self.readiness.set(true);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        log_commit(result);
    }
}
