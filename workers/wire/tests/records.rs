//! What is written is what is read, and what any camera sends is read as well as can be.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use jiff::Timestamp;
use rdkafka::{
    Timestamp as RecordTime,
    message::{Header, Headers, OwnedHeaders, OwnedMessage},
};
use tailrace_wire::{
    Answer, AnswerError, AnswerEvent, EventError, HeaderError, ImageEvent, JPEG, Label, PNG, RAW, read_image, subject,
};

fn image() -> ImageEvent {
    ImageEvent {
        id: "17".into(),
        source: "camera-7".into(),
        time: "2026-01-31T12:00:00.25Z".parse().unwrap(),
        content_type: PNG.into(),
        reply_partition: Some(3),
    }
}

fn answer(answer: Answer) -> AnswerEvent {
    AnswerEvent {
        id: "iot_images-3-17".into(),
        source: "classifier".into(),
        pipeline: None,
        subject: "camera-7/17".into(),
        time: "2026-01-31T12:00:01Z".parse().unwrap(),
        queue_micros: 120,
        compute_micros: 480,
        answer,
    }
}

fn label() -> Answer {
    Answer::Label(Label {
        label: "cat".into(),
        index: 3,
        confidence: 0.5,
        model: "resnet20".into(),
        model_sha256: "ab".into(),
    })
}

fn header(headers: &OwnedHeaders, name: &str) -> Option<String> {
    let value = headers.iter().find(|header| header.key == name)?.value?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

fn record(value: &[u8], headers: Option<OwnedHeaders>) -> OwnedMessage {
    let time = RecordTime::CreateTime(1_700_000_000_000);
    OwnedMessage::new(Some(value.to_vec()), None, "iot_images".into(), time, 4, 99, headers)
}

fn with(name: &str, value: &[u8]) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new().insert(Header { key: name, value: Some(value) });
    for header in image().to_headers().iter().filter(|header| header.key != name) {
        headers = headers.insert(header);
    }
    headers
}

#[test]
fn an_image_is_a_cloud_event_in_binary_mode() {
    let headers = image().to_headers();
    assert_eq!(header(&headers, "content-type").as_deref(), Some("image/png"));
    assert_eq!(header(&headers, "ce_specversion").as_deref(), Some("1.0"));
    assert_eq!(header(&headers, "ce_type").as_deref(), Some("dev.tailrace.image"));
    assert_eq!(header(&headers, "ce_source").as_deref(), Some("camera-7"));
    assert_eq!(header(&headers, "ce_id").as_deref(), Some("17"));
    assert_eq!(header(&headers, "ce_time").as_deref(), Some("2026-01-31T12:00:00.25Z"));
    assert_eq!(header(&headers, "tailrace_reply_partition").as_deref(), Some("3"));
}

#[test]
fn an_image_is_read_as_it_was_written() {
    assert_eq!(ImageEvent::from_headers(&image().to_headers()), Ok(image()));
    assert_eq!(ImageEvent::from_record(&record(b"", Some(image().to_headers()))), image());
    let without_wish = ImageEvent { reply_partition: None, ..image() };
    assert_eq!(ImageEvent::from_headers(&without_wish.to_headers()), Ok(without_wish));
}

#[test]
fn a_strict_reader_names_the_header_that_is_wrong() {
    let error = ImageEvent::from_headers(&with("ce_time", b"yesterday")).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"header ce_time is "yesterday": write a time as in RFC 3339, such as 2026-01-31T12:00:00Z"#
    );
    let error = ImageEvent::from_headers(&with("tailrace_reply_partition", b"-1")).unwrap_err();
    assert!(matches!(error, HeaderError::Invalid { name: "tailrace_reply_partition", .. }), "{error}");
    let error = ImageEvent::from_headers(&OwnedHeaders::new()).unwrap_err();
    assert!(matches!(error, HeaderError::Missing { name: "ce_specversion", .. }), "{error}");
}

#[test]
fn a_record_without_headers_is_named_by_its_place() {
    let event = ImageEvent::from_record(&record(b"\xff\xd8\xff\xe0", None));
    assert_eq!(event.subject(), "unknown/iot_images-4-99");
    assert_eq!(event.time, Timestamp::from_second(1_700_000_000).unwrap());
    assert_eq!(event.content_type, JPEG);
    assert_eq!(event.reply_partition, None);
}

#[test]
fn a_record_with_broken_headers_keeps_the_good_ones() {
    let event = ImageEvent::from_record(&record(b"", Some(with("ce_id", b"\xff\xfe"))));
    assert_eq!(event.subject(), "unknown/iot_images-4-99");
    assert_eq!(event.reply_partition, Some(3));
    let event = ImageEvent::from_record(&record(b"", Some(with("ce_time", b"soon"))));
    assert_eq!(event.subject(), "camera-7/17");
    assert_eq!(event.time, Timestamp::from_second(1_700_000_000).unwrap());
}

#[test]
fn without_a_content_type_the_first_bytes_tell() {
    let content_type = |value| ImageEvent::from_record(&record(value, None)).content_type;
    assert_eq!(content_type(b"\x89PNG\r\n\x1a\n\0"), PNG);
    assert_eq!(content_type(b"\xff\xd8\xff\xdb"), JPEG);
    assert_eq!(content_type(b"anything"), RAW);
    assert_eq!(content_type(b""), RAW);
}

fn structured(content_type: &str, json: &str) -> (ImageEvent, Result<Vec<u8>, EventError>) {
    let header = Header { key: "content-type", value: Some(content_type) };
    let record = record(json.as_bytes(), Some(OwnedHeaders::new().insert(header)));
    let (event, file) = read_image(&record);
    (event, file.map(std::borrow::Cow::into_owned))
}

const JSON: &str = "application/cloudevents+json";

#[test]
fn a_structured_event_has_its_attributes_and_its_file_in_its_json() {
    let json = r#"{"specversion": "1.0", "type": "dev.tailrace.image", "source": "camera-7", "id": "17",
        "time": "2026-01-31T12:00:00.25Z", "datacontenttype": "image/png", "tailracereplypartition": 3,
        "data_base64": "iVBORw0KGgo=", "subject": null, "other": {"any": ["thing"]}}"#;
    for content_type in [JSON, "application/cloudevents+json; charset=UTF-8", "Application/CloudEvents+JSON"] {
        let (event, file) = structured(content_type, json);
        assert_eq!((event, file), (image(), Ok(b"\x89PNG\r\n\x1a\n".to_vec())), "{content_type}");
    }
    let (event, file) = structured(JSON, r#"{"source": "a", "id": "1", "data_base64": "\/9j\/"}"#);
    assert_eq!((event.subject(), event.content_type, file), ("a/1".into(), JPEG.into(), Ok(b"\xff\xd8\xff".to_vec())));
    assert_eq!(event.time, Timestamp::from_second(1_700_000_000).unwrap());
}

#[test]
fn a_structured_event_without_a_file_keeps_its_name_and_says_what_to_send() {
    for (json, sentence) in [
        (r#"{"source": "camera-7", "id": "17"}"#, "the CloudEvent has no data_base64: write the image's file there"),
        (r#"{"source": "camera-7", "id": "17", "data": "iVBORw0KGgo="}"#, "the CloudEvent has no data_base64"),
        (r#"{"source": "camera-7", "id": "17", "data_base64": null}"#, "the CloudEvent has no data_base64"),
        (r#"{"source": "camera-7", "id": "17", "data_base64": "&"}"#, "data_base64 of the CloudEvent is not in base64"),
    ] {
        let (event, file) = structured(JSON, json);
        let error = file.unwrap_err().to_string();
        assert!(error.starts_with(sentence), "{error}");
        assert_eq!(event.subject(), "camera-7/17", "{json}");
    }
}

#[test]
fn batches_other_formats_and_what_is_no_json_are_refused_by_name() {
    for (content_type, value, sentence) in [
        (
            "application/cloudevents-batch+json",
            "[{}]",
            "the record is a batch of CloudEvents (application/cloudevents-ba",
        ),
        ("application/cloudevents-batch+json; charset=utf-8", "", "the record is a batch of CloudEvents"),
        (JSON, " [{}]", "the record is a batch of CloudEvents (application/cloudevents+json): send each image in a"),
        (
            "application/cloudevents+avro",
            "Obj",
            "the record is a CloudEvent in a format that is not read (application/",
        ),
        ("application/cloudevents+protobuf", "", "the record is a CloudEvent in a format that is not read"),
        (JSON, "{", "the record says that it is a CloudEvent in JSON, and is not: "),
        (JSON, "7", "the record says that it is a CloudEvent in JSON, and is not: "),
    ] {
        let (event, file) = structured(content_type, value);
        let error = file.unwrap_err().to_string();
        assert!(error.starts_with(sentence), "{error}");
        assert_eq!(event.subject(), "unknown/iot_images-4-99");
    }
    let (event, file) = structured(JSON, r#"{"id": 17, "source": "", "data_base64": "AAAA"}"#);
    assert_eq!((event.subject(), file), ("unknown/iot_images-4-99".to_owned(), Ok(vec![0; 3])));
}

#[test]
fn two_images_never_share_a_subject() {
    assert_eq!(subject("camera-7", "17"), "camera-7/17");
    assert_ne!(subject("a/b", "c"), subject("a", "b/c"));
    assert_ne!(subject("a", "b/c"), subject("a", "b%2Fc"));
}

#[test]
fn an_answer_is_read_as_it_was_written() {
    for data in [label(), Answer::Failed { error: "no image".into() }] {
        let event = answer(data);
        let value = event.to_value().unwrap();
        assert_eq!(AnswerEvent::from_record(&record(&value, Some(event.to_headers()))).unwrap(), event);
    }
}

#[test]
fn an_answer_is_plain_json() {
    let value = String::from_utf8(answer(label()).to_value().unwrap()).unwrap();
    assert_eq!(value, r#"{"label":"cat","index":3,"confidence":0.5,"model":"resnet20","modelSha256":"ab"}"#);
    let failed = answer(Answer::Failed { error: "no image".into() });
    assert_eq!(failed.to_value().unwrap(), br#"{"error":"no image"}"#);
    assert_eq!(header(&failed.to_headers(), "ce_type").as_deref(), Some("dev.tailrace.inference.failed"));
}

#[test]
fn what_is_no_answer_is_refused_with_its_reason() {
    assert!(matches!(AnswerEvent::from_record(&record(b"{}", None)), Err(AnswerError::NoHeaders)));
    let headers = answer(label()).to_headers();
    assert!(matches!(AnswerEvent::from_parts(&headers, b"{}"), Err(AnswerError::Body(_))));
    let error = AnswerEvent::from_parts(&image().to_headers(), b"{}").unwrap_err();
    assert!(error.to_string().starts_with(r#"header ce_type is "dev.tailrace.image": write"#), "{error}");
}
