//! An image that came from Kafka.

use std::{sync::Arc, time::Instant};

use rdkafka::{Message, message::OwnedMessage};
use tailrace_classifier::{DecodeError, Model, Pixels, Probabilities, decode};
use tailrace_wire::{Answer, ImageEvent};

use super::answers::Answers;
use crate::{
    classifying::{Job, Timing, Unclassified, label},
    dead_letter,
};

/// A record of the images' topic; its answer goes to the answers' topic.
pub struct Record {
    pub record: OwnedMessage,
    pub event: ImageEvent,
    /// When it was taken from Kafka.
    pub arrived: Instant,
    pub answers: Arc<Answers>,
    pub model: Arc<Model>,
}

impl Job for Record {
    fn arrived(&self) -> Instant {
        self.arrived
    }

    fn decode(&self) -> Result<Pixels, DecodeError> {
        decode(&self.event.content_type, self.record.payload().unwrap_or_default())
    }

    /// Its offset is not committed before it is answered.
    fn is_abandoned(&self) -> bool {
        false
    }

    fn answer(self: Box<Self>, outcome: Result<Probabilities, Unclassified>, timing: Timing) -> anyhow::Result<()> {
        match outcome {
            Ok(probabilities) => {
                let answer = Answer::Label(label(&self.model, &probabilities));
                self.answers.answer(&self.record, &self.event, answer, timing)
            }
            Err(Unclassified::Failed(error)) => {
                self.answers.answer(&self.record, &self.event, Answer::Failed { error }, timing)
            }
            Err(undecodable) => self.refuse(&undecodable.to_string(), timing),
        }
    }
}

impl Record {
    fn refuse(&self, error: &str, timing: Timing) -> anyhow::Result<()> {
        tracing::warn!(
            source = self.event.source,
            id = self.event.id,
            "the record {} is no image: {error}",
            dead_letter::origin(&self.record)
        );
        self.answers.refuse(&self.record, &self.event, error, timing)
    }
}
