//! An image that came from Kafka.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tailrace_classifier::{Model, Pixels, Probabilities, decode};
use tailrace_wire::Answer;

use crate::{
    classifying::{Entrance, Job, Timing, Unclassified, label},
    images::{Destination, Image},
};

/// The way of images from Kafka to the classifying threads.
pub struct Records {
    pub entrance: Entrance<Box<dyn Job>>,
    pub model: Arc<Model>,
}

impl Destination for Records {
    /// The classifying threads always go on, so there soon is: to push is to wait.
    fn wait_for_room(&self, _: Duration) -> bool {
        true
    }

    fn push(&self, image: Image) {
        self.entrance.push(Box::new(Record { image, model: self.model.clone() }));
    }
}

/// A record of the images' topic; its answer goes to the answers' topic.
struct Record {
    image: Image,
    model: Arc<Model>,
}

impl Job for Record {
    fn arrived(&self) -> Instant {
        self.image.arrived
    }

    fn decode(&self) -> Result<Pixels, Unclassified> {
        Ok(decode(&self.image.event.content_type, self.image.file()?)?)
    }

    fn is_abandoned(&self) -> bool {
        self.image.taken_away().is_cancelled()
    }

    fn answer(self: Box<Self>, outcome: Result<Probabilities, Unclassified>, timing: Timing) -> anyhow::Result<()> {
        match outcome {
            Ok(probabilities) => self.image.answer(Answer::Label(label(&self.model, &probabilities)), timing),
            Err(Unclassified::Failed(error)) => self.image.answer(Answer::Failed { error }, timing),
            Err(undecodable) => self.image.refuse(&undecodable.to_string(), timing),
        }
    }
}
