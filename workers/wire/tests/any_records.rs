//! Whatever comes, nothing panics; whatever is written is read back as it was.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use jiff::Timestamp;
use proptest::{collection::vec, option, prelude::*, sample::select};
use rdkafka::{
    Timestamp as RecordTime,
    message::{Header, Headers, OwnedHeaders, OwnedMessage},
};
use tailrace_wire::{Answer, AnswerEvent, ImageEvent, Label, readable_headers, subject};

const NAMES: [&str; 11] = [
    "content-type",
    "ce_specversion",
    "ce_type",
    "ce_source",
    "ce_id",
    "ce_time",
    "ce_subject",
    "tailrace_reply_partition",
    "tailrace_queue_micros",
    "tailrace_compute_micros",
    "tailrace_pipeline",
];
const VALUES: [&str; 9] = [
    "application/cloudevents+json",
    "1.0",
    "dev.tailrace.image",
    "dev.tailrace.inference",
    "dev.tailrace.inference.failed",
    "2026-01-31T12:00:00Z",
    "-1",
    "99999999999999999999",
    "",
];

/// Headers that are right, almost right and anything; a name may come twice.
fn headers() -> impl Strategy<Value = OwnedHeaders> {
    let name = prop_oneof![9 => select(&NAMES[..]).prop_map(str::to_owned), 1 => "[^\0]{0,20}"];
    let value = prop_oneof![
        select(&VALUES[..]).prop_map(|text| text.as_bytes().to_vec()),
        "[0-9TZ:.+-]{0,30}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..40),
    ];
    vec((name, option::weighted(0.9, value)), 0..16).prop_map(|headers| {
        headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: value.as_ref() }))
    })
}

/// Anything, and what is almost an answer.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let member = prop_oneof![
        Just("\"label\":\"cat\"".to_owned()),
        "\"(index|confidence)\":-?[0-9]{1,25}(\\.[0-9]{1,5}|e[0-9]{1,4})?",
        "\"(id|source|time|datacontenttype|tailracereplypartition|data_base64)\":(\"[A-Z0-9=]{0,8}\"|[0-9]{1,20}|null)",
        "\"(model|modelSha256|error)\":\"[a-z\\\\u0-9]{0,9}\"",
        ".{0,9}",
    ];
    prop_oneof![
        vec(any::<u8>(), 0..200),
        vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(",")).into_bytes()),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    let nanoseconds = Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond();
    nanoseconds.prop_map(|nanosecond| Timestamp::from_nanosecond(nanosecond).unwrap())
}

fn record(value: Option<Vec<u8>>, headers: Option<OwnedHeaders>, millis: i64) -> OwnedMessage {
    OwnedMessage::new(value, None, "iot_images".into(), RecordTime::CreateTime(millis), 4, 99, headers)
}

prop_compose! {
    fn image()(
        id in ".{1,40}",
        source in ".{1,40}",
        time in time(),
        content_type in ".{1,40}",
        reply_partition in option::of(0..=i32::MAX),
    ) -> ImageEvent {
        ImageEvent { id, source, time, content_type, reply_partition }
    }
}

prop_compose! {
    fn label()(
        label in ".*",
        index in any::<usize>(),
        confidence in prop_oneof![0.0f32..=1.0, any::<f32>().prop_filter("JSON has no other", |number| number.is_finite())],
        model in ".*",
        model_sha256 in "[0-9a-f]{64}",
    ) -> Answer {
        Answer::Label(Label { label, index, confidence, model, model_sha256 })
    }
}

prop_compose! {
    fn answer()(
        id in ".{1,40}",
        source in ".{1,40}",
        pipeline in proptest::option::of(".{1,40}"),
        subject in ".{1,40}",
        time in time(),
        queue_micros in any::<u64>(),
        compute_micros in any::<u64>(),
        answer in prop_oneof![label(), ".*".prop_map(|error| Answer::Failed { error })],
    ) -> AnswerEvent {
        AnswerEvent { id, source, pipeline, subject, time, queue_micros, compute_micros, answer }
    }
}

proptest! {
    #[test]
    fn any_record_is_an_image_with_a_name(
        headers in option::of(headers()),
        value in option::of(value()),
        millis in any::<i64>(),
    ) {
        let event = ImageEvent::from_record(&record(value, headers.clone(), millis));
        prop_assert!(!event.id.is_empty() && !event.source.is_empty() && !event.content_type.is_empty());
        prop_assert!(event.reply_partition.is_none_or(|partition| partition >= 0));
        if let Some(Ok(strict)) = headers.as_ref().map(ImageEvent::from_headers) {
            prop_assert_eq!(strict, event);
        }
    }

    #[test]
    fn any_record_is_an_answer_or_an_error(headers in headers(), value in value()) {
        let _ = AnswerEvent::from_parts(&headers, &value);
    }

    #[test]
    fn any_value_with_the_headers_of_an_answer_is_an_answer_or_an_error(event in answer(), value in value()) {
        let _ = AnswerEvent::from_parts(&event.to_headers(), &value);
    }

    #[test]
    fn an_image_is_read_as_it_was_written(event in image(), value in value()) {
        prop_assert_eq!(ImageEvent::from_headers(&event.to_headers()).unwrap(), event.clone());
        prop_assert_eq!(ImageEvent::from_record(&record(Some(value), Some(event.to_headers()), 0)), event);
    }

    #[test]
    fn an_answer_is_read_as_it_was_written(event in answer()) {
        prop_assert_eq!(AnswerEvent::from_parts(&event.to_headers(), &event.to_value().unwrap()).unwrap(), event);
    }

    #[test]
    fn two_images_never_share_a_subject(
        [one, other] in [["[ab/%25F]{1,5}", "[ab/%25F]{1,5}"], ["[ab/%25F]{1,5}", "[ab/%25F]{1,5}"]],
    ) {
        prop_assert_eq!(one == other, subject(&one[0], &one[1]) == subject(&other[0], &other[1]));
    }
}

/// As Kafka's client shows a header whose name is not UTF-8.
struct OneUnreadable;

impl Headers for OneUnreadable {
    fn count(&self) -> usize {
        3
    }

    fn try_get(&self, index: usize) -> Option<Header<'_, &[u8]>> {
        let headers = [("ce_source", "camera"), ("", ""), ("ce_id", "17")];
        assert!(index != 1, "the name is not UTF-8");
        headers.get(index).map(|(key, value)| Header { key, value: Some(value.as_bytes()) })
    }
}

#[test]
fn a_header_with_an_unreadable_name_hides_no_other() {
    let names: Vec<_> = readable_headers(&OneUnreadable).map(|header| header.key).collect();
    assert_eq!(names, ["ce_source", "ce_id"]);
}
