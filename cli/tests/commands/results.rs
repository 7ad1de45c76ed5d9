//! LoadTests with a status as the operator writes it.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use serde_json::{Value, json};
use tailrace_crds::LoadTest;
use tailrace_measure::intervals::{Files, Intervals};

use crate::support::Namespace;

/// A LoadTest with a minute of 20 images/s from each of two producers.
pub async fn load_test(namespace: &Namespace, name: &str) {
    with_spec(namespace, name, "").await;
}

/// The same with more in its spec.
pub async fn with_spec(namespace: &Namespace, name: &str, more: &str) {
    let yaml = format!(
        "{{apiVersion: tailrace.dev/v1alpha1, kind: LoadTest, metadata: {{name: {name}}}, spec: {{pipelineRef: {{name: cifar}}, \
         producers: 2, load: {{open: {{ratePerProducer: 20}}}}, duration: 60s{more}}}}}"
    );
    namespace.create_yaml::<LoadTest>(&yaml).await;
}

/// Merges into the status.
pub async fn write(namespace: &Namespace, name: &str, status: Value) {
    namespace.patch_status::<LoadTest>(name, status).await.unwrap();
}

pub fn condition(type_: &str, status: bool, reason: &str, message: &str) -> Value {
    let status = if status { "True" } else { "False" };
    json!({
        "type": type_, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-21T18:41:25Z",
    })
}

/// The status of a test that is over and has succeeded.
pub fn succeeded() -> Value {
    json!({
        "phase": "Succeeded",
        "message": "2400 images, all answered; p95 31ms",
        "conditions": [condition("ResultsValid", true, "Valid", "the numbers mean what they say")],
        "startTime": "2026-11-21T18:40:12.000000Z",
        "completionTime": "2026-11-21T18:41:25.000000Z",
        "messages": {
            "scheduled": 2400, "sent": 2400, "sendErrors": 0, "received": 2400, "lost": 0, "duplicates": 0,
            "answerErrors": 0,
        },
        "latencyMicros": latency(),
        "serviceLatencyMicros": latency(),
        "sendDelayMicros": latency(),
        "confidenceMicros": { "p95": { "low": 29_000, "high": 34_000 }, "p99": { "low": 33_000 } },
        "stagesMicros": {
            "queue": latency(), "compute": latency(), "acknowledgement": latency(), "rest": latency(),
        },
        "rate": { "target": "40.0", "offered": "40.0", "achieved": "39.9" },
        "startSkewMicros": 130,
        "accuracyPercent": "91.7",
        "slos": [{ "metric": "P95", "max": "50ms", "observed": "31.007ms", "met": true }],
        "warnings": [{ "reason": "Shared", "message": "node1 ran producers and the Pipeline" }],
        "environment": {
            "images": { "producer": format!("tailrace/worker:1@sha256:{}", "3f7a9c0b".repeat(8)) },
            "producerNodes": ["node1", "node1"],
        },
        "display": { "load": "open 20/s", "p50": "10ms", "p90": "28ms", "p95": "31ms", "p99": "34ms", "slo": "1/1" },
    })
}

fn latency() -> Value {
    json!({
        "count": 2400, "min": 1_000, "mean": 15_000, "p50": 10_000, "p90": 28_000, "p95": 31_007, "p99": 34_000,
        "p999": 35_000, "max": 36_000,
    })
}

/// What another end changes in that status.
pub fn with(status: &mut Value, changes: Value) -> Value {
    if let (Some(status), Value::Object(changes)) = (status.as_object_mut(), changes) {
        status.extend(changes);
    }
    status.clone()
}

/// The ConfigMap of a minute with 40 images a second, one of which is answered a millisecond later than the one before.
pub async fn keep_intervals(namespace: &Namespace, name: &str) {
    let mut intervals = Intervals::new(Duration::from_secs(60));
    for millis in (0..60_000).step_by(25) {
        let intended = Duration::from_millis(millis);
        let latency = Duration::from_millis(1 + millis / 25 % 35);
        intervals.count_scheduled(intended);
        intervals.record(intended, intended + latency, Some(latency));
    }
    let files = Files::write(&intervals, SystemTime::UNIX_EPOCH).unwrap();
    let config_map = json!({
        "metadata": { "name": name },
        "data": { "latency.hlog": files.histograms, "intervals.csv": files.counts },
    });
    let config_map: ConfigMap = serde_json::from_value(config_map).unwrap();
    namespace.api().create(&PostParams::default(), &config_map).await.unwrap();
}
