//! Reading and writing the headers of a record.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;
use rdkafka::message::{Header, Headers, OwnedHeaders};

pub(crate) const CONTENT_TYPE: &str = "content-type";
pub(crate) const SPEC_VERSION: &str = "ce_specversion";
pub(crate) const TYPE: &str = "ce_type";
pub(crate) const SOURCE: &str = "ce_source";
pub(crate) const ID: &str = "ce_id";
pub(crate) const TIME: &str = "ce_time";
pub(crate) const SUBJECT: &str = "ce_subject";
pub(crate) const REPLY_PARTITION: &str = "tailrace_reply_partition";
pub(crate) const QUEUE_MICROS: &str = "tailrace_queue_micros";
pub(crate) const COMPUTE_MICROS: &str = "tailrace_compute_micros";

pub(crate) const PIPELINE: &str = "tailrace_pipeline";

/// The version of CloudEvents that is spoken.
pub(crate) const VERSION: &str = "1.0";

/// A header that is not as it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The record does not have it.
    #[error("header {name} is missing: write {expected}")]
    Missing {
        /// Name of the header.
        name: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// Its value is not UTF-8, or not what is expected.
    #[error("header {name} is {found:?}: write {expected}")]
    Invalid {
        /// Name of the header.
        name: &'static str,
        /// What it holds; bytes that are not UTF-8 are replaced.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
}

/// The headers whose names are text. Kafka lets any bytes be a name, and its Rust client panics on those that are not
/// UTF-8: whoever may send images could stop all who read them.
pub fn readable_headers<H: Headers>(headers: &H) -> impl Iterator<Item = Header<'_, &[u8]>> {
    let read = |index| catch_unwind(AssertUnwindSafe(|| headers.try_get(index)));
    (0..headers.count()).filter_map(move |index| read(index).ok().flatten())
}

/// A header by name: what it is for, and how its value is read.
pub(crate) struct Reader<'h>(Vec<Header<'h, &'h [u8]>>);

impl<'h> Reader<'h> {
    pub fn new<H: Headers>(headers: &'h H) -> Self {
        Self(readable_headers(headers).collect())
    }

    fn bytes(&self, name: &str) -> Option<&'h [u8]> {
        self.0.iter().find(|header| header.key == name).and_then(|header| header.value)
    }

    /// The text of a header, if it is there, not empty and UTF-8.
    pub fn text(&self, name: &str) -> Option<&'h str> {
        self.bytes(name).and_then(|value| str::from_utf8(value).ok()).filter(|text| !text.is_empty())
    }

    /// A header that must be there and satisfy `parse`.
    pub fn required<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, HeaderError> {
        self.optional(name, expected, parse)?.ok_or(HeaderError::Missing { name, expected })
    }

    /// A header that may be missing, but must satisfy `parse` where it is there.
    pub fn optional<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, HeaderError> {
        let Some(value) = self.bytes(name) else { return Ok(None) };
        let parsed = str::from_utf8(value).ok().and_then(parse);
        parsed.map(Some).ok_or_else(|| HeaderError::Invalid {
            name,
            found: String::from_utf8_lossy(value).into_owned(),
            expected,
        })
    }

    /// # Errors
    /// When this is no CloudEvent of version 1.0.
    pub fn version(&self) -> Result<(), HeaderError> {
        self.required(SPEC_VERSION, VERSION, |text| (text == VERSION).then_some(()))
    }

    /// A text that must be there and not be empty.
    pub fn required_text(&self, name: &'static str, expected: &'static str) -> Result<String, HeaderError> {
        self.required(name, expected, |text| (!text.is_empty()).then(|| text.to_owned()))
    }

    pub fn time(&self) -> Result<Timestamp, HeaderError> {
        self.required(TIME, "a time as in RFC 3339, such as 2026-01-31T12:00:00Z", |text| text.parse().ok())
    }
}

/// Adds headers one after the other.
pub(crate) struct Writer(pub OwnedHeaders);

impl Writer {
    pub fn add(self, name: &str, value: &str) -> Self {
        Self(self.0.insert(Header { key: name, value: Some(value) }))
    }
}
