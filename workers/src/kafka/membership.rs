//! What a member of a consumer group does as partitions come and go.

use rdkafka::{
    ClientContext, TopicPartitionList,
    client::DefaultClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

use super::progress::Progress;
use crate::readiness::{Part, Readiness};

/// Whoever works on records that a member has taken. With nothing in hand, there is nothing to do.
pub trait Holder: Clone + Send + Sync + 'static {
    /// These partitions go to another member as soon as this returns; what is stored by then is committed.
    fn hand_over(&self, _: &BaseConsumer<Membership<Self>>, _revoked: &TopicPartitionList) {}

    /// These partitions have another owner already, who begins at the last commit.
    fn lose(&self, _revoked: &TopicPartitionList) {}
}

/// Who stores offsets only of what is finished has nothing in hand.
impl Holder for () {}

/// The membership of one consumer; ready when partitions are assigned to it.
#[derive(Clone)]
pub struct Membership<H> {
    /// Works on what was taken.
    pub holder: H,
    /// Of the process.
    pub readiness: Readiness,
    /// Of its partitions.
    pub progress: Progress,
}

impl<H: Holder> Membership<H> {
    /// Everything up to `offset` is done: it is committed with the next automatic commit.
    pub fn done(&self, consumer: &BaseConsumer<Self>, topic: &str, partition: i32, offset: i64) {
        if let Err(error) = self.progress.done(consumer, topic, partition, offset) {
            tracing::warn!("offset {offset} of {topic}/{partition} is not stored: {error}");
        }
    }
}

impl<H: Holder> ClientContext for Membership<H> {
    /// All but what is fatal to the client: that is said by whoever it ends, and it need not end anybody.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility != "FATAL" {
            DefaultClientContext.log(level, facility, message);
        }
    }
}

impl<H: Holder> ConsumerContext for Membership<H> {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(revoked) = rebalance else { return };
        tracing::info!("partitions taken away: {}", list(revoked));
        if consumer.assignment_lost() {
            self.holder.lose(revoked);
        } else {
            self.holder.hand_over(consumer, revoked);
            log_commit(consumer.commit_consumer_state(CommitMode::Sync));
        }
        self.progress.revoked(revoked);
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(assigned) = rebalance {
            tracing::info!("partitions assigned: {}", list(assigned));
            self.progress.assigned(assigned);
            self.readiness.fine(Part::Start);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        log_commit(result);
    }
}

/// Partitions as `topic/number`, or `none`.
fn list(partitions: &TopicPartitionList) -> String {
    let elements = partitions.elements();
    let names: Vec<_> = elements.iter().map(|element| format!("{}/{}", element.topic(), element.partition())).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A commit that failed is no reason to stop: the next one repeats it, and what is never committed is delivered again.
/// Nothing to commit is no failure, and a coordinator that is away is reported by the client already.
fn log_commit(result: KafkaResult<()>) {
    use RDKafkaErrorCode::{NoOffset, WaitingForCoordinator};
    match result {
        Ok(()) | Err(KafkaError::ConsumerCommit(NoOffset | WaitingForCoordinator)) => {}
        Err(error) => tracing::warn!("{error}"),
    }
}
