//! Records that cannot be used, kept with the reason.

use rdkafka::{
    Message,
    message::{Header, OwnedHeaders},
};
use tailrace_wire::{DEAD_LETTER_ERROR, DEAD_LETTER_ORIGIN, readable_headers};

/// Where a record is, as `topic/partition/offset`.
#[must_use]
pub fn origin<M: Message>(record: &M) -> String {
    format!("{}/{}/{}", record.topic(), record.partition(), record.offset())
}

/// The headers of a record's dead letter: its own, the reason and its origin. Key and value stay as they are.
#[must_use]
pub fn headers<M: Message>(record: &M, error: &str) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new();
    for header in record.headers().into_iter().flat_map(readable_headers) {
        headers = headers.insert(header);
    }
    headers
        .insert(Header { key: DEAD_LETTER_ERROR, value: Some(error) })
        .insert(Header { key: DEAD_LETTER_ORIGIN, value: Some(&origin(record)) })
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        Timestamp,
        message::{Headers, OwnedMessage},
    };

    use super::*;

    #[test]
    fn a_dead_letter_keeps_its_headers_and_says_why_and_from_where() {
        let own = OwnedHeaders::new().insert(Header { key: "ce_id", value: Some("17") });
        let record = OwnedMessage::new(None, None, "iot_images".into(), Timestamp::NotAvailable, 2, 99, Some(own));
        let headers = headers(&record, "no image");
        let text: Vec<_> = headers.iter().map(|header| (header.key, header.value.unwrap_or_default())).collect();
        assert_eq!(
            text,
            [("ce_id", &b"17"[..]), ("tailrace_error", b"no image"), ("tailrace_origin", b"iot_images/2/99")]
        );
    }
}
