//! An image on its way to the classifier.

use std::borrow::Cow;

use jiff::Timestamp;
use rdkafka::{
    Message,
    message::{Headers, OwnedHeaders},
};

use crate::{
    headers::{
        CONTENT_TYPE, HeaderError, ID, REPLY_PARTITION, Reader, SOURCE, SPEC_VERSION, TIME, TYPE, VERSION, Writer,
    },
    structured::{EventError, Structured},
    subject::subject,
};

/// The content type of a PNG file.
pub const PNG: &str = "image/png";
/// The content type of a JPEG file.
pub const JPEG: &str = "image/jpeg";
/// The content type of raw pixels: 3072 bytes, 32 x 32, row by row, each pixel as red, green, blue.
pub const RAW: &str = "application/octet-stream";
/// The source of an image that came without one.
pub const UNKNOWN_SOURCE: &str = "unknown";

const EVENT_TYPE: &str = "dev.tailrace.image";

/// What the headers say of an image; the value of its record is the image file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageEvent {
    /// Which image of its source it is.
    pub id: String,
    /// Who took it. `source` and `id` together name one image, for ever.
    pub source: String,
    /// When it was taken, by its source's clock.
    pub time: Timestamp,
    /// What the value is: [`PNG`], [`JPEG`] or [`RAW`].
    pub content_type: String,
    /// The partition of the answers' topic on which the answer is wanted; without it the answer goes by its key.
    pub reply_partition: Option<i32>,
}

impl ImageEvent {
    /// The image in one string: see [`subject()`].
    #[must_use]
    pub fn subject(&self) -> String {
        subject(&self.source, &self.id)
    }

    /// The headers of its record.
    #[must_use]
    pub fn to_headers(&self) -> OwnedHeaders {
        let headers = Writer(OwnedHeaders::new_with_capacity(7))
            .add(CONTENT_TYPE, &self.content_type)
            .add(SPEC_VERSION, VERSION)
            .add(TYPE, EVENT_TYPE)
            .add(SOURCE, &self.source)
            .add(ID, &self.id)
            .add(TIME, &self.time.to_string());
        match self.reply_partition {
            Some(partition) => headers.add(REPLY_PARTITION, &partition.to_string()).0,
            None => headers.0,
        }
    }

    /// Reads the headers of a record that follows the protocol to the letter.
    ///
    /// # Errors
    /// [`HeaderError`] names the first header that is missing or wrong.
    pub fn from_headers<H: Headers>(headers: &H) -> Result<Self, HeaderError> {
        let headers = Reader::new(headers);
        headers.version()?;
        headers.required(TYPE, EVENT_TYPE, |text| (text == EVENT_TYPE).then_some(()))?;
        Ok(Self {
            id: headers.required_text(ID, "the image's id, unique within its source")?,
            source: headers.required_text(SOURCE, "who took the image")?,
            time: headers.time()?,
            content_type: headers.required_text(CONTENT_TYPE, "image/png, image/jpeg or application/octet-stream")?,
            reply_partition: headers.optional(
                REPLY_PARTITION,
                "the number of a partition, from 0",
                partition_number,
            )?,
        })
    }

    /// Reads any record as well as can be: see [`read_image`].
    #[must_use]
    pub fn from_record<M: Message>(record: &M) -> Self {
        read_image(record).0
    }
}

/// Reads any record as well as can be, so that a camera without CloudEvents can take part too, and gives the image's
/// file: the value in binary mode, `data_base64` in structured mode.
///
/// Without both a source and an id, the image is named by its place: source [`UNKNOWN_SOURCE`], id
/// `topic-partition-offset`. Without a time, it is the record's; without a content type, the first bytes tell.
///
/// # Errors
/// In structured mode, when there is no file.
pub fn read_image<M: Message>(record: &M) -> (ImageEvent, Result<Cow<'_, [u8]>, EventError>) {
    let headers = record.headers().map(Reader::new);
    let text = |name| headers.as_ref().and_then(|headers| headers.text(name));
    let value = record.payload().unwrap_or_default();
    let (structured, error) = match Structured::read(text(CONTENT_TYPE), value) {
        None => (None, None),
        Some(Ok(structured)) => (Some(structured), None),
        Some(Err(error)) => (None, Some(error)),
    };
    let file = match (&structured, error) {
        (_, Some(error)) => Err(error),
        (Some(structured), None) => structured.data().map(Cow::Owned),
        (None, None) => Ok(Cow::Borrowed(value)),
    };

    let attributes = structured.as_ref();
    let names = (attributes.and_then(Structured::source), attributes.and_then(Structured::id));
    let (source, id) = match (names.0.or_else(|| text(SOURCE)), names.1.or_else(|| text(ID))) {
        (Some(source), Some(id)) => (source.to_owned(), id.to_owned()),
        _ => (UNKNOWN_SOURCE.to_owned(), place(record)),
    };
    let time = attributes.and_then(Structured::time).or_else(|| text(TIME));
    let content_type = match attributes {
        Some(attributes) => attributes.content_type(),
        None => text(CONTENT_TYPE),
    };
    let asked = attributes.and_then(Structured::reply_partition);
    let event = ImageEvent {
        id,
        source,
        time: time.and_then(|time| time.parse().ok()).unwrap_or_else(|| record_time(record)),
        content_type: content_type
            .unwrap_or_else(|| guess_content_type(file.as_deref().unwrap_or_default()))
            .to_owned(),
        reply_partition: asked.as_deref().or_else(|| text(REPLY_PARTITION)).and_then(partition_number),
    };
    (event, file)
}

fn partition_number(text: &str) -> Option<i32> {
    text.parse().ok().filter(|partition| *partition >= 0)
}

fn place<M: Message>(record: &M) -> String {
    format!("{}-{}-{}", record.topic(), record.partition(), record.offset())
}

fn record_time<M: Message>(record: &M) -> Timestamp {
    let millis = record.timestamp().to_millis();
    millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()).unwrap_or_else(Timestamp::now)
}

/// What a file without a content type is, by its first bytes: the signatures of PNG (RFC 2083, section 3.1) and of
/// JPEG's first two segments (ITU-T T.81, annex B). All else is taken for raw pixels.
#[must_use]
pub fn guess_content_type(value: &[u8]) -> &'static str {
    if value.starts_with(b"\x89PNG\r\n\x1a\n") {
        PNG
    } else if value.starts_with(b"\xff\xd8\xff") {
        JPEG
    } else {
        RAW
    }
}
