//! What an inference server answers.

use std::time::Duration;

use axum::http::StatusCode;
use serde::Deserialize;
use tailrace_wire::Label;

use super::trouble::Trouble;
use crate::classifying::Timing;

/// The longest sentence of a server that is passed on, in characters.
const LONGEST: usize = 1000;

/// What became of an image at the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It has a label. The times are those that the server says, by its own clock.
    Labelled(Label, Timing),
    /// It is no image, in a sentence of the server's.
    Refused(String),
    /// The server could not classify it, in a sentence of the server's.
    Failed(String),
}

/// The JSON of status 200: that of Kafka, and two times.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prediction {
    #[serde(flatten)]
    label: Label,
    queue_micros: u64,
    compute_micros: u64,
}

/// The JSON of any other status.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// Reads an answer to `POST /predict`. `retry_after` is the header of that name.
///
/// # Errors
/// [`Trouble`] when it says nothing about the image.
pub fn read(status: StatusCode, retry_after: Option<&[u8]>, body: &[u8]) -> Result<Reply, Trouble> {
    match status {
        StatusCode::OK => labelled(body),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Ok(Reply::Refused(sentence(status, body)))
        }
        StatusCode::INTERNAL_SERVER_ERROR => Ok(Reply::Failed(sentence(status, body))),
        StatusCode::TOO_MANY_REQUESTS => Err(Trouble::Busy { retry_after: retry_after.and_then(seconds) }),
        // A proxy's way to say that the server broke the connection or did not answer; and the server's, that it waited
        // for the rest of the image.
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => {
            Err(Trouble::Broken(format!("status {}", status.as_u16())))
        }
        other => Err(Trouble::Unavailable(other)),
    }
}

fn labelled(body: &[u8]) -> Result<Reply, Trouble> {
    let unreadable = |error| Trouble::Broken(format!("its answer is not that of POST /predict: {error}"));
    let Prediction { label, queue_micros, compute_micros } = serde_json::from_slice(body).map_err(unreadable)?;
    let timing = Timing { queue: Duration::from_micros(queue_micros), compute: Duration::from_micros(compute_micros) };
    Ok(Reply::Labelled(label, timing))
}

fn sentence(status: StatusCode, body: &[u8]) -> String {
    match serde_json::from_slice(body) {
        Ok(Refusal { error }) => error.chars().take(LONGEST).collect(),
        Err(_) => format!("the inference server refuses the image with status {}", status.as_u16()),
    }
}

/// A date, which the header can also be, is no request of the project's own server.
fn seconds(value: &[u8]) -> Option<Duration> {
    str::from_utf8(value).ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn label(confidence: f32) -> Label {
        Label { label: "cat".into(), index: 3, confidence, model: "resnet20".into(), model_sha256: "ab".into() }
    }

    fn status(code: u16) -> StatusCode {
        StatusCode::from_u16(code).unwrap()
    }

    /// As `POST /predict` writes it.
    fn prediction(label: &Label) -> Vec<u8> {
        let mut value = serde_json::to_string(label).unwrap();
        value.truncate(value.len() - 1);
        format!("{value},\"topFive\":[{{\"label\":\"cat\"}}],\"queueMicros\":26,\"computeMicros\":3375}}").into_bytes()
    }

    #[test]
    fn a_prediction_is_a_label_and_its_times() {
        let Reply::Labelled(found, timing) = read(StatusCode::OK, None, &prediction(&label(0.5))).unwrap() else {
            panic!("no label");
        };
        assert_eq!((found, timing.queue_micros(), timing.compute_micros()), (label(0.5), 26, 3375));
    }

    #[test]
    fn a_refusal_is_passed_on_in_the_servers_words() {
        let body = json!({"error": "no picture"}).to_string();
        for code in [400, 413, 415] {
            assert_eq!(read(status(code), None, body.as_bytes()), Ok(Reply::Refused("no picture".into())));
        }
        assert_eq!(read(status(500), None, body.as_bytes()), Ok(Reply::Failed("no picture".into())));
        let Ok(Reply::Refused(error)) = read(status(413), None, b"<html>") else { panic!("no refusal") };
        assert_eq!(error, "the inference server refuses the image with status 413");
    }

    #[test]
    fn what_says_nothing_about_the_image_is_trouble() {
        let busy = |retry_after| read(status(429), retry_after, b"");
        assert_eq!(busy(Some(b"1")), Err(Trouble::Busy { retry_after: Some(Duration::from_secs(1)) }));
        assert_eq!(busy(Some(b"Sun, 06 Nov 1994 08:49:37 GMT")), Err(Trouble::Busy { retry_after: None }));
        for code in [301, 401, 404, 405, 503] {
            assert_eq!(read(status(code), None, b""), Err(Trouble::Unavailable(status(code))));
        }
        for (code, body) in [(502, ""), (504, ""), (408, ""), (200, "<html>"), (200, "{\"label\":\"cat\"}")] {
            let found = read(status(code), None, body.as_bytes());
            assert!(matches!(found, Err(Trouble::Broken(_))), "{code}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_reply_or_trouble(
            code in 100u16..1000,
            retry_after in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..30)),
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..2000),
                r#"\{"error":"(.{0,2000})"\}?"#.prop_map(String::into_bytes),
                r#"\{("label":"c",|"index":-?[0-9]{1,30},|"confidence":[0-9e]{1,9},|"model":"",|"queueMicros":[0-9]{1,30},?){0,9}\}"#
                    .prop_map(String::into_bytes),
            ],
        ) {
            if let Ok(Reply::Refused(error) | Reply::Failed(error)) = read(status(code), retry_after.as_deref(), &body) {
                prop_assert!(error.chars().count() <= LONGEST);
            }
        }

        #[test]
        fn a_label_comes_through_unchanged(confidence in 0.0f32..=1.0, queue in any::<u64>(), name in ".*") {
            let sent = Label { label: name, ..label(confidence) };
            let written = serde_json::to_string(&sent).unwrap();
            let written = written.strip_suffix('}').unwrap();
            let body = format!("{written},\"queueMicros\":{queue},\"computeMicros\":1}}");
            let Ok(Reply::Labelled(found, timing)) = read(StatusCode::OK, None, body.as_bytes()) else {
                return Err(TestCaseError::fail("no label"));
            };
            prop_assert_eq!(found, sent);
            prop_assert_eq!(timing.queue_micros(), queue);
        }
    }
}
