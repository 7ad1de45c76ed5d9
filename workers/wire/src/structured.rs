//! CloudEvents in structured mode: attributes and image in one JSON, as Knative's KafkaSink writes them.
//!
//! Sources: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md> and section 3.3 of
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

/// What the content types of structured mode and of batches begin with.
const STRUCTURED: &str = "application/cloudevents";
const JSON: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch";

/// A record in structured mode has no image that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Several events in one record.
    #[error(
        "the record is a batch of CloudEvents ({content_type}): send each image in a record of its own, in structured \
         or binary mode"
    )]
    Batch {
        /// The content type that says so.
        content_type: String,
    },
    /// Structured mode in another format.
    #[error(
        "the record is a CloudEvent in a format that is not read ({content_type}): send {JSON}, or binary mode with \
         the image's file as the value"
    )]
    Format {
        /// The content type that says so.
        content_type: String,
    },
    /// The JSON cannot be read.
    #[error("the record says that it is a CloudEvent in JSON, and is not: {0}")]
    Json(String),
    /// An event without an image.
    #[error(
        "the CloudEvent has no data_base64: write the image's file there, in base64, or send binary mode with the file \
         as the value"
    )]
    NoData,
    /// The image cannot be read.
    #[error("data_base64 of the CloudEvent is not in base64: {0}")]
    Base64(String),
}

/// An event in JSON. What is null or of another type is as if it were not there.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Structured<'r> {
    id: Value,
    source: Value,
    time: Value,
    datacontenttype: Value,
    /// The names of extension attributes have no underscore.
    tailracereplypartition: Value,
    #[serde(borrow)]
    data_base64: Option<Cow<'r, str>>,
}

impl<'r> Structured<'r> {
    /// Reads a record whose content type says that it is in structured mode; none if it does not.
    ///
    /// # Errors
    /// When it is a batch, or no JSON.
    pub fn read(content_type: Option<&str>, value: &'r [u8]) -> Option<Result<Self, EventError>> {
        let content_type = content_type?;
        let name = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !name.starts_with(STRUCTURED) {
            return None;
        }
        let content_type = || content_type.chars().take(100).collect();
        Some(match name.as_str() {
            // A list says what it is, whatever its content type says.
            _ if value.trim_ascii_start().starts_with(b"[") => Err(EventError::Batch { content_type: content_type() }),
            JSON => serde_json::from_slice(value).map_err(|error| EventError::Json(error.to_string())),
            batch if batch.starts_with(BATCH) => Err(EventError::Batch { content_type: content_type() }),
            _ => Err(EventError::Format { content_type: content_type() }),
        })
    }

    /// A text of the attribute that is not empty.
    fn text(value: &Value) -> Option<&str> {
        value.as_str().filter(|text| !text.is_empty())
    }

    pub fn id(&self) -> Option<&str> {
        Self::text(&self.id)
    }

    pub fn source(&self) -> Option<&str> {
        Self::text(&self.source)
    }

    pub fn time(&self) -> Option<&str> {
        Self::text(&self.time)
    }

    pub fn content_type(&self) -> Option<&str> {
        Self::text(&self.datacontenttype)
    }

    /// An integer, or a text as the attributes of an event mostly are.
    pub fn reply_partition(&self) -> Option<String> {
        let number = self.tailracereplypartition.as_i64().map(|number| number.to_string());
        number.or_else(|| Self::text(&self.tailracereplypartition).map(ToOwned::to_owned))
    }

    /// The image's file.
    ///
    /// # Errors
    /// When there is none, or not in base64.
    pub fn data(&self) -> Result<Vec<u8>, EventError> {
        let text = self.data_base64.as_ref().ok_or(EventError::NoData)?;
        STANDARD.decode(text.as_bytes()).map_err(|error| EventError::Base64(error.to_string()))
    }
}
