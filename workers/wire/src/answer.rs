//! The classifier's answer to one image.

use jiff::Timestamp;
use rdkafka::{
    Message,
    message::{Headers, OwnedHeaders},
};
use serde::{Deserialize, Serialize};

use crate::headers::{
    COMPUTE_MICROS, CONTENT_TYPE, HeaderError, ID, PIPELINE, QUEUE_MICROS, Reader, SOURCE, SPEC_VERSION, SUBJECT, TIME,
    TYPE, VERSION, Writer,
};

const LABELLED: &str = "dev.tailrace.inference";
const FAILED: &str = "dev.tailrace.inference.failed";
const JSON: &str = "application/json";

/// The data of an answer: the JSON that is the record's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// What is on the image.
    Label(Label),
    /// Why there is no label.
    Failed {
        /// One sentence: what is wrong, and what to send instead.
        error: String,
    },
}

/// What is on an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Label {
    /// The name of the class, such as `cat`.
    pub label: String,
    /// The number of the class, from 0, in the order of the model's labels.
    pub index: usize,
    /// Softmax of the class, from 0 to 1.
    pub confidence: f32,
    /// The name of the model.
    pub model: String,
    /// SHA-256 of the model's file, in hex.
    pub model_sha256: String,
}

/// An answer with what its headers say.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerEvent {
    /// Which answer of its classifier it is. The same image, delivered again, is answered with the same id.
    pub id: String,
    /// Which classifier answered.
    pub source: String,
    /// The UID of the Pipeline that answered; none outside Kubernetes. Several Pipelines may read the same images.
    pub pipeline: Option<String>,
    /// The image it answers: see [`subject`](crate::subject()).
    pub subject: String,
    /// When the image was classified, by the classifier's clock.
    pub time: Timestamp,
    /// Microseconds from the image's arrival at the classifier to the start of its batch.
    pub queue_micros: u64,
    /// Microseconds that its batch took to decode and classify.
    pub compute_micros: u64,
    /// The data.
    pub answer: Answer,
}

/// A record that is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// A header is missing or wrong.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The record has no headers at all.
    #[error("the record has no headers, so it is no CloudEvent")]
    NoHeaders,
    /// The value is not the JSON of an [`Answer`].
    #[error("the value is not an answer in JSON: {0}")]
    Body(#[from] serde_json::Error),
}

impl AnswerEvent {
    /// The headers of its record.
    #[must_use]
    pub fn to_headers(&self) -> OwnedHeaders {
        let event_type = match self.answer {
            Answer::Label(_) => LABELLED,
            Answer::Failed { .. } => FAILED,
        };
        let headers = Writer(OwnedHeaders::new_with_capacity(10))
            .add(CONTENT_TYPE, JSON)
            .add(SPEC_VERSION, VERSION)
            .add(TYPE, event_type)
            .add(SOURCE, &self.source)
            .add(ID, &self.id)
            .add(TIME, &self.time.to_string())
            .add(SUBJECT, &self.subject)
            .add(QUEUE_MICROS, &self.queue_micros.to_string())
            .add(COMPUTE_MICROS, &self.compute_micros.to_string());
        match &self.pipeline {
            Some(pipeline) => headers.add(PIPELINE, pipeline).0,
            None => headers.0,
        }
    }

    /// The value of its record: the answer in JSON.
    ///
    /// # Errors
    /// Of serde_json; none is known for these types.
    pub fn to_value(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self.answer)
    }

    /// Reads a record of the answers' topic.
    ///
    /// # Errors
    /// [`AnswerError`] when the record is no answer.
    pub fn from_record<M: Message>(record: &M) -> Result<Self, AnswerError> {
        Self::from_parts(record.headers().ok_or(AnswerError::NoHeaders)?, record.payload().unwrap_or_default())
    }

    /// Reads an answer from headers and value.
    ///
    /// # Errors
    /// [`AnswerError`] when they are no answer.
    pub fn from_parts<H: Headers>(headers: &H, value: &[u8]) -> Result<Self, AnswerError> {
        let headers = Reader::new(headers);
        headers.version()?;
        headers.required(TYPE, "dev.tailrace.inference or dev.tailrace.inference.failed", |text| {
            matches!(text, LABELLED | FAILED).then_some(())
        })?;
        let micros = |name| headers.required(name, "whole microseconds", |text| text.parse().ok());
        Ok(Self {
            id: headers.required_text(ID, "the answer's id")?,
            source: headers.required_text(SOURCE, "which classifier answered")?,
            pipeline: headers.text(PIPELINE).map(str::to_owned),
            subject: headers.required_text(SUBJECT, "the image's source, a slash and the image's id")?,
            time: headers.time()?,
            queue_micros: micros(QUEUE_MICROS)?,
            compute_micros: micros(COMPUTE_MICROS)?,
            answer: serde_json::from_slice(value)?,
        })
    }
}
