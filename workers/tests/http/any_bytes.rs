//! Whatever is sent, there is an answer, and the next request has one too.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::json;

use crate::{
    support::{Worker, sample},
    tensors::{INFER, image_tensor, pixels},
};

const CASES: u32 = 200;

fn check<S: Strategy>(strategy: &S, test: impl Fn(S::Value)) {
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let result = runner.run(strategy, |value| {
        test(value);
        Ok(())
    });
    // It shows the value that failed.
    result.unwrap();
}

#[test]
fn any_bytes_sent_to_predict_are_answered() {
    let server = Worker::start_server(&[]);
    let content_types = prop_oneof!["image/png", "image/jpeg", "multipart/form-data; boundary=x", "[ -~]{0,30}"];
    let damaged = (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(place, value)| {
        let mut file = sample(0);
        let place = place.index(file.len());
        file[place] = value;
        file
    });
    let bodies = prop_oneof![prop::collection::vec(any::<u8>(), 0..4096), damaged];
    check(&(content_types, bodies), |(content_type, body)| {
        let response = server.ask("POST /predict", &[&format!("Content-Type: {content_type}")], &body);
        assert!(matches!(response.status, 200 | 400 | 413 | 415), "{response:?}");
        response.json();
    });
    assert_eq!(server.ask("POST /predict", &["Content-Type: image/png"], &sample(0)).json()["label"], "cat");
}

#[test]
fn any_bytes_sent_to_infer_are_answered() {
    let server = Worker::start_server(&[]);
    let mut tensor = image_tensor(1);
    tensor["parameters"] = json!({"binary_data_size": 3072});
    let valid = serde_json::to_vec(&json!({"inputs": [tensor], "outputs": [{"name": "label"}]})).unwrap();
    let (length, body) = (valid.len(), [valid, pixels(&[0])].concat());

    let damaged = (any::<prop::sample::Index>(), any::<u8>()).prop_map(move |(place, value)| {
        let mut damaged = body.clone();
        damaged[place.index(length)] = value;
        (Some(length), damaged)
    });
    let random = (proptest::option::of(0_usize..5000), prop::collection::vec(any::<u8>(), 0..4096));
    check(&prop_oneof![damaged, random], |(length, body)| {
        let header = length.map(|length| format!("Inference-Header-Content-Length: {length}"));
        let headers: Vec<_> = header.as_deref().into_iter().collect();
        let response = server.ask(INFER, &headers, &body);
        assert!(matches!(response.status, 200 | 400 | 413), "{response:?}");
        response.json();
    });
    assert_eq!(server.ask("GET /v2/health/ready", &[], b"").status, 200);
}
