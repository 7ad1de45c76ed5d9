//! The images on their way from Kafka.

use std::{
    borrow::Cow,
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::OwnedMessage,
};
use tailrace_wire::read_image;
use tokio_util::sync::CancellationToken;

use super::{Destination, Image, answers::Answers, in_flight::InFlight};
use crate::{
    kafka::{Consuming, Holder, Member, Membership, Progress},
    readiness::Readiness,
};

/// The poll blocks for at most this long, so that the end of the process is noticed.
const POLL: Duration = Duration::from_millis(100);
/// A destination that has no room for so long is waited for without taking anything from Kafka.
const ROOM_PATIENCE: Duration = Duration::from_secs(1);
/// How long images of partitions that are taken away may still be answered by this member.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(10);

/// A member of the group that takes images. Dropped, it leaves the group, which takes all its partitions away.
pub struct Images {
    member: Member<Waiting>,
}

impl Images {
    /// Joins the group.
    pub fn subscribe(
        consuming: &Consuming,
        in_flight: Arc<InFlight>,
        readiness: Readiness,
        progress: Progress,
    ) -> anyhow::Result<Self> {
        let Consuming { cluster, group, trouble_after, .. } = consuming;
        let holder = Waiting { topic: cluster.images_topic.clone(), in_flight };
        let membership = Membership { holder, readiness, progress };
        let member = Member::join(cluster.consumer(group), &[&cluster.images_topic], membership, trouble_after.get())?;
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
        self.member.pause()?;
        while !stop.is_cancelled() && !destination.wait_for_room(Duration::ZERO) {
            if self.bring(destination, answers)? {
                // It is of a partition that was assigned meanwhile.
                self.member.pause()?;
            }
        }
        Ok(self.member.resume()?)
    }

    /// Brings the next image, if one comes soon.
    fn bring(&mut self, destination: &impl Destination, answers: &Arc<Answers>) -> anyhow::Result<bool> {
        let record = self.member.poll(POLL)?;
        let came = record.is_some();
        if let Some(record) = record {
            destination.push(self.image(record, answers));
        }
        let context = self.member.consumer().context();
        context.holder.store_answered(self.member.consumer());
        Ok(came)
    }

    fn waiting(&self) -> &Waiting {
        &self.member.consumer().context().holder
    }

    fn image(&self, record: OwnedMessage, answers: &Arc<Answers>) -> Image {
        let taken_away = self.waiting().in_flight.begin(record.partition(), record.offset());
        let (event, file) = read_image(&record);
        let file = file.map(|file| match file {
            Cow::Borrowed(_) => None,
            Cow::Owned(file) => Some(file),
        });
        Image { record, event, file, arrived: Instant::now(), answers: answers.clone(), taken_away }
    }
}

/// The images that wait for their answers.
#[derive(Clone)]
struct Waiting {
    topic: String,
    in_flight: Arc<InFlight>,
}

impl Waiting {
    /// What is stored is committed by the next automatic commit.
    fn store_answered(&self, consumer: &BaseConsumer<Membership<Self>>) {
        for (partition, offset) in self.in_flight.take_answered() {
            consumer.context().done(consumer, &self.topic, partition, offset);
        }
    }
}

impl Holder for Waiting {
    /// Waits until what was taken is answered.
    fn hand_over(&self, consumer: &BaseConsumer<Membership<Self>>, revoked: &TopicPartitionList) {
        let revoked = numbers(revoked);
        let unanswered = self.in_flight.drain(|partition| revoked.contains(&partition), HAND_OVER_LIMIT);
        if unanswered > 0 {
            tracing::warn!(
                "{unanswered} images have no answer after {HAND_OVER_LIMIT:?}: they will be delivered again"
            );
        }
        self.store_answered(consumer);
        self.in_flight.forget(|partition| revoked.contains(&partition));
    }

    fn lose(&self, revoked: &TopicPartitionList) {
        let revoked = numbers(revoked);
        self.in_flight.forget(|partition| revoked.contains(&partition));
    }
}

fn numbers(partitions: &TopicPartitionList) -> HashSet<i32> {
    partitions.elements().iter().map(|element| element.partition()).collect()
}
