//! A classifying thread: takes what waits, decodes it, classifies it, answers it.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::Message;
use tailrace_classifier::{Classification, Classifier, Pixels, RAW_BYTES, decode};
use tailrace_wire::{Answer, ImageEvent, Label};

use super::{
    answers::{Answers, Timing},
    metrics::{Metrics, Outcome},
    queue::{Queue, Waiting},
};
use crate::dead_letter;

/// What each thread needs.
#[derive(Clone)]
pub struct Worker {
    pub classifier: Arc<Classifier>,
    pub queue: Arc<Queue<Waiting>>,
    pub answers: Arc<Answers>,
    pub metrics: Metrics,
    /// The most images of a batch.
    pub most: usize,
}

/// An image with what its headers say.
struct Image {
    waiting: Waiting,
    event: ImageEvent,
}

impl Worker {
    /// Works until the process ends. The first computation of a thread is slow, so no image waits for it.
    pub fn run(&self) -> anyhow::Result<Infallible> {
        self.classifier.classify(&[Pixels::from_rgb(&[0; RAW_BYTES])?])?;
        loop {
            self.answer(self.queue.take(self.most))?;
        }
    }

    fn answer(&self, batch: Vec<Waiting>) -> anyhow::Result<()> {
        let started = Instant::now();
        let (mut images, mut pixels, mut undecodable) = (Vec::new(), Vec::new(), Vec::new());
        for waiting in batch {
            let event = ImageEvent::from_record(&waiting.record);
            let image = Image { waiting, event };
            match decode_safely(&image.event.content_type, image.waiting.record.payload().unwrap_or_default()) {
                Ok(decoded) => {
                    images.push(image);
                    pixels.push(decoded);
                }
                Err(error) => undecodable.push((image, error)),
            }
        }
        let classified = self.classifier.classify(&pixels);
        let compute = started.elapsed();
        self.metrics.batch(images.len() + undecodable.len(), compute);

        match classified {
            Ok(classified) => {
                for (image, classification) in images.iter().zip(classified) {
                    self.send(image, self.label(classification), Outcome::Classified, started, compute)?;
                }
            }
            Err(error) => {
                tracing::error!("{} images of a batch were not classified: {error}", images.len());
                for image in &images {
                    let answer = Answer::Failed { error: error.to_string() };
                    self.send(image, answer, Outcome::Failed, started, compute)?;
                }
            }
        }
        for (image, error) in undecodable {
            tracing::warn!(
                source = image.event.source,
                id = image.event.id,
                "the record {} is no image: {error}",
                dead_letter::origin(&image.waiting.record)
            );
            self.send(&image, Answer::Failed { error }, Outcome::Undecodable, started, compute)?;
        }
        Ok(())
    }

    fn send(
        &self,
        image: &Image,
        answer: Answer,
        outcome: Outcome,
        started: Instant,
        compute: Duration,
    ) -> anyhow::Result<()> {
        let queue = started.saturating_duration_since(image.waiting.arrived);
        self.metrics.image(outcome, queue);
        let (record, timing) = (&image.waiting.record, Timing { queue, compute });
        match (&answer, outcome) {
            (Answer::Failed { error }, Outcome::Undecodable) => {
                let error = error.clone();
                self.answers.refuse(record, &image.event, answer, &error, timing)
            }
            _ => self.answers.answer(record, &image.event, answer, timing),
        }
    }

    fn label(&self, classification: Classification) -> Answer {
        let model = self.classifier.model();
        Answer::Label(Label {
            label: classification.label.to_string(),
            index: classification.index,
            confidence: classification.confidence,
            model: model.name().to_owned(),
            model_sha256: model.sha256().to_owned(),
        })
    }
}

/// A decoder that panics on hostile bytes must not take down the images beside them.
fn decode_safely(content_type: &str, bytes: &[u8]) -> Result<Pixels, String> {
    match catch_unwind(AssertUnwindSafe(|| decode(content_type, bytes))) {
        Ok(decoded) => decoded.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the decoder of {content_type} fails on these bytes: send another file")),
    }
}
