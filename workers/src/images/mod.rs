//! Images from one topic and their answers onto another, whoever finds the answers.
//!
//! One thread polls Kafka and brings the images; whoever answers them hands the answers to Kafka's producer. An offset
//! is committed when its answer, and that of every image before it, was acknowledged: an image is answered at least
//! once, whatever is killed.

mod answers;
mod consumer;
mod in_flight;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{Message, message::OwnedMessage};
use tailrace_wire::{Answer, EventError, ImageEvent};
use tokio_util::sync::CancellationToken;

use crate::{
    classifying::Timing,
    dead_letter,
    ending::Ending,
    kafka::{self, Cluster, Consuming, Probe, Progress},
    service::Service,
};
pub use answers::Counted;
use answers::{Answers, Source};
use consumer::Images;
use in_flight::InFlight;

/// What answers are known by.
#[derive(clap::Args, Clone, Debug)]
pub struct Identity {
    /// The UID of the Pipeline that answers; it stands in the header tailrace_pipeline of each answer.
    #[arg(long, env = "TAILRACE_PIPELINE_UID")]
    pub pipeline_uid: Option<String>,
}

/// An image that came from Kafka, with the way back of its answer.
pub struct Image {
    /// As it came.
    pub record: OwnedMessage,
    /// What it says of itself.
    pub event: ImageEvent,
    /// The image's file where it is not the record's value.
    file: Result<Option<Vec<u8>>, EventError>,
    /// When it was taken from Kafka.
    pub arrived: Instant,
    answers: Arc<Answers>,
    taken_away: CancellationToken,
}

impl Image {
    /// The image's file.
    ///
    /// # Errors
    /// When the record is an event without one.
    pub fn file(&self) -> Result<&[u8], EventError> {
        let file = self.file.as_ref().map_err(Clone::clone)?;
        Ok(file.as_deref().or_else(|| self.record.payload()).unwrap_or_default())
    }

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

/// Brings the images of a group to their destination until asked to stop, then waits until what was brought is
/// answered, to a deadline, commits and leaves the group.
///
/// # Errors
/// When Kafka or its topics are not there, or Kafka's consumer cannot go on.
pub fn pump(
    consuming: &Consuming,
    pipeline_uid: Option<String>,
    service: &Service,
    (progress, counted): (Progress, Counted),
    destination: &impl Destination,
) -> anyhow::Result<()> {
    let Consuming { cluster, group, .. } = consuming;
    let (readiness, ending) = (&service.readiness, &service.ending);
    Probe::start(consuming, readiness.clone(), progress.clone(), ending.stop.clone())?;
    let in_flight = Arc::new(InFlight::default());
    let source = Source { name: group.clone(), pipeline: pipeline_uid };
    let runtime = service.runtime.handle().clone();
    let answers = Answers::new(cluster, source, in_flight.clone(), ending.clone(), counted, runtime)?;
    if !wait_for_topics(cluster, &answers, ending)? {
        return Ok(());
    }
    let answers = Arc::new(answers);
    kafka::before_joining(consuming, &[&cluster.images_topic], &ending.stop)?;
    let mut images = Images::subscribe(consuming, in_flight, readiness.clone(), progress)?;
    // Dropped at the end, before the answers' producer, it leaves the group, which hands over what was taken: answered
    // and committed.
    images.pump(destination, &answers, &service.ending.stop)
}

/// However long they are away: the probe says so. False when asked to stop meanwhile.
fn wait_for_topics(cluster: &Cluster, answers: &Answers, ending: &Ending) -> anyhow::Result<bool> {
    match kafka::wait_for_topics(answers.client(), &cluster.topics(), Duration::MAX, &ending.stop) {
        Ok(topics) => {
            answers.know(&topics);
            Ok(true)
        }
        Err(kafka::WaitError::Stopped) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
