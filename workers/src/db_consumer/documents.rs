//! Records as documents.

use std::borrow::Cow;

use jiff::Timestamp;
use mongodb::bson::{Binary, DateTime, Document, doc, spec::BinarySubtype};
use rdkafka::{Message, message::OwnedMessage};
use tailrace_wire::{Answer, AnswerError, AnswerEvent, read_image};

/// When a document was stored, by the db-consumer's clock: what is kept for a time is kept from then on, whatever the
/// clock of a camera says.
pub const STORED_AT: &str = "storedAt";

/// The document of an image, whatever its bytes are: the picture itself and what came with it. `size` is in bytes.
pub fn image(record: &OwnedMessage) -> Document {
    let (event, file) = read_image(record);
    // What brings no image is kept as it came.
    let picture = file.map_or_else(|_| record.payload().unwrap_or_default().to_vec(), Cow::into_owned);
    doc! {
        "_id": event.subject(),
        "source": event.source,
        "id": event.id,
        "contentType": event.content_type,
        "time": time(event.time),
        STORED_AT: DateTime::now(),
        "size": signed(picture.len()),
        "picture": Binary { subtype: BinarySubtype::Generic, bytes: picture },
    }
}

/// The document of an answer; its `_id` is that of its image. An answer without a label has an `error`.
///
/// # Errors
/// When the record is no answer.
pub fn inference(record: &OwnedMessage) -> Result<Document, AnswerError> {
    let event = AnswerEvent::from_record(record)?;
    let mut document = doc! {
        "_id": event.subject,
        "time": time(event.time),
        STORED_AT: DateTime::now(),
        "classifier": event.source,
        "queueMicros": signed(event.queue_micros),
        "computeMicros": signed(event.compute_micros),
    };
    document.extend(match event.answer {
        Answer::Label(label) => doc! {
            "label": label.label,
            "index": signed(label.index),
            "confidence": f64::from(label.confidence),
            "model": label.model,
            "modelSha256": label.model_sha256,
        },
        Answer::Failed { error } => doc! {"error": error},
    });
    Ok(document)
}

fn time(time: Timestamp) -> DateTime {
    DateTime::from_millis(time.as_millisecond())
}

fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp as RecordTime;
    use rdkafka::message::{Header, OwnedHeaders};
    use tailrace_wire::{ImageEvent, Label, PNG};

    use super::*;

    fn record(value: &[u8], headers: Option<rdkafka::message::OwnedHeaders>) -> OwnedMessage {
        OwnedMessage::new(Some(value.to_vec()), None, "topic".into(), RecordTime::NotAvailable, 0, 7, headers)
    }

    fn answer(answer: Answer) -> OwnedMessage {
        let event = AnswerEvent {
            id: "topic-0-7".into(),
            source: "classifier".into(),
            pipeline: None,
            subject: "camera/1".into(),
            time: Timestamp::from_millisecond(1_500).unwrap(),
            queue_micros: 20,
            compute_micros: 300,
            answer,
        };
        record(&event.to_value().unwrap(), Some(event.to_headers()))
    }

    #[test]
    fn an_image_keeps_its_picture_under_its_subject() {
        let event = ImageEvent {
            id: "1".into(),
            source: "camera".into(),
            time: Timestamp::from_millisecond(1_500).unwrap(),
            content_type: PNG.into(),
            reply_partition: None,
        };
        let bytes = b"\x89PNG...".to_vec();
        let mut document = image(&record(&bytes, Some(event.to_headers())));
        let stored = document.remove(STORED_AT).and_then(|stored| stored.as_datetime().copied()).unwrap();
        assert!((DateTime::now().timestamp_millis() - stored.timestamp_millis()).abs() < 60_000);
        let expected = doc! {
            "_id": "camera/1", "source": "camera", "id": "1", "contentType": "image/png",
            "time": DateTime::from_millis(1_500), "size": 7_i64,
            "picture": Binary { subtype: BinarySubtype::Generic, bytes },
        };
        assert_eq!(document, expected);
    }

    #[test]
    fn a_structured_event_is_stored_as_its_picture_and_one_without_a_picture_as_it_came() {
        let structured = |json: &str| {
            let header = Header { key: "content-type", value: Some("application/cloudevents+json") };
            image(&record(json.as_bytes(), Some(OwnedHeaders::new().insert(header))))
        };
        let document = structured(
            r#"{"specversion": "1.0", "type": "t", "source": "camera", "id": "1", "datacontenttype": "image/png",
                "data_base64": "iVBORw=="}"#,
        );
        let field = |document: &Document, name: &str| document.get_str(name).unwrap().to_owned();
        assert_eq!((field(&document, "_id"), field(&document, "contentType")), ("camera/1".into(), PNG.into()));
        assert_eq!(document.get_binary_generic("picture").unwrap(), b"\x89PNG");
        let json = r#"{"source": "camera", "id": "2"}"#;
        let document = structured(json);
        assert_eq!(field(&document, "_id"), "camera/2");
        assert_eq!(document.get_binary_generic("picture").unwrap(), json.as_bytes());
    }

    #[test]
    fn a_label_and_a_failure_have_the_id_of_their_image() {
        let label =
            Label { label: "cat".into(), index: 3, confidence: 0.5, model: "m".into(), model_sha256: "s".into() };
        let document = inference(&answer(Answer::Label(label))).unwrap();
        assert_eq!(document.get_str("_id").ok(), Some("camera/1"));
        assert_eq!(document.get_str("label").ok(), Some("cat"));
        assert_eq!(document.get_i64("index").ok(), Some(3));
        let document = inference(&answer(Answer::Failed { error: "no image".into() })).unwrap();
        assert_eq!(document.get_str("_id").ok(), Some("camera/1"));
        assert_eq!(document.get_str("error").ok(), Some("no image"));
        assert!(document.get("label").is_none());
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        assert!(inference(&record(b"{}", None)).is_err());
    }
}
