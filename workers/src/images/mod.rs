//! Images from one topic and their answers onto another, whoever finds the answers.
//!
//! One thread polls Kafka and brings the images; whoever answers them hands the answers to Kafka's producer. An offset is
//! committed when its answer, and that of every image before it, was acknowledged: an image is answered at least once,
//! whatever is killed.

mod answers;
mod consumer;
mod in_flight;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus_client::metrics::counter::Counter;
use rdkafka::message::OwnedMessage;
use tailrace_wire::{Answer, ImageEvent};
use tokio_util::sync::CancellationToken;

use crate::{
    classifying::Timing,
    dead_letter,
    ending::Ending,
    kafka::{self, Cluster},
    service::Service,
};
use answers::Answers;
use consumer::Images;
use in_flight::InFlight;

/// How long to wait for Kafka and the topics at the start before the process gives up and is started again.
const START_LIMIT: Duration = Duration::from_secs(600);

/// An image that came from Kafka, with the way back of its answer.
pub struct Image {
    /// Its value is the image file.
    pub record: OwnedMessage,
    /// What its headers say.
    pub event: ImageEvent,
    /// When it was taken from Kafka.
    pub arrived: Instant,
    answers: Arc<Answers>,
    taken_away: CancellationToken,
}

impl Image {
    /// Sends its answer.
    ///
    /// # Errors
    /// When Kafka's producer cannot go on.
    pub fn answer(&self, answer: Answer, timing: Timing) -> anyhow::Result<()> {
        self.answers.answer(self, answer, timing)
    }

    /// Says why it cannot be used, and keeps it on the dead-letter topic.
    ///
    /// # Errors
    /// When Kafka's producer cannot go on.
    pub fn refuse(&self, error: &str, timing: Timing) -> anyhow::Result<()> {
        let (ImageEvent { source, id, .. }, origin) = (&self.event, dead_letter::origin(&self.record));
        tracing::warn!(source, id, "the record {origin} cannot be used: {error}");
        self.answers.refuse(self, error, timing)
    }

    /// Cancelled when its partition has another owner, who answers it.
    #[must_use]
    pub fn taken_away(&self) -> &CancellationToken {
        &self.taken_away
    }
}

/// Where images go.
pub trait Destination {
    /// Waits until one more image has room, for at most `limit`; whether it has.
    fn wait_for_room(&self, limit: Duration) -> bool;

    /// Takes an image, whose answer is then awaited.
    fn push(&self, image: Image);
}

/// Brings the images of a group to their destination until asked to stop, then waits until what was brought is answered,
/// to a deadline, commits and leaves the group. `answered` counts the answers that Kafka acknowledged.
///
/// # Errors
/// When Kafka or its topics are not there, or Kafka's consumer cannot go on.
pub fn pump(
    cluster: &Cluster,
    group: &str,
    service: &Service,
    answered: Counter,
    destination: &impl Destination,
) -> anyhow::Result<()> {
    let in_flight = Arc::new(InFlight::default());
    let answers = Answers::new(cluster, group, in_flight.clone(), service.ending.clone(), answered)?;
    if !wait_for_topics(cluster, &answers, &service.ending)? {
        return Ok(());
    }
    let answers = Arc::new(answers);
    let mut images = Images::subscribe(cluster, group, in_flight, service.readiness.clone())?;
    // Dropped at the end, before the answers' producer, it leaves the group, which hands over what was taken: answered
    // and committed.
    images.pump(destination, &answers, &service.ending.stop)
}

/// False when asked to stop meanwhile.
fn wait_for_topics(cluster: &Cluster, answers: &Answers, ending: &Ending) -> anyhow::Result<bool> {
    match kafka::wait_for_topics(answers.client(), &cluster.topics(), START_LIMIT, &ending.stop) {
        Ok(topics) => {
            answers.know(&topics);
            Ok(true)
        }
        Err(kafka::WaitError::Stopped) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
