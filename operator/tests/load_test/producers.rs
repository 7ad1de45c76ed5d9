//! The Pipeline and the producers, played by the test.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};
use tailrace_crds::{
    LoadTest, Pipeline, ProducerReport,
    load_test::{Counts, Phase},
};
use tailrace_measure::histogram::LatencyHistogram;
use tailrace_operator::load_test::controller;

use crate::support::{ApiServer, Namespace, Operator, api_server};

/// A new namespace of the server that all tests share.
pub async fn namespace() -> Namespace {
    let server: &ApiServer = api_server().await;
    server.namespace().await
}

/// The controller under test.
pub fn operator(namespace: &Namespace) -> Operator {
    Operator::start(namespace, controller)
}

/// A LoadTest on the Pipeline `cifar` with a short schedule.
pub async fn load_test(namespace: &Namespace, name: &str, producers: i32) -> LoadTest {
    let load = "{closed: {}}";
    namespace.create_yaml(&yaml(name, producers, load, "")).await
}

/// The YAML of a LoadTest with a short schedule; `more` is appended to the spec.
pub fn yaml(name: &str, producers: i32, load: &str, more: &str) -> String {
    let spec = format!(
        "{{pipelineRef: {{name: cifar}}, producers: {producers}, load: {load}, warmup: 300ms, duration: 1s, drainTimeout: 1s{more}}}"
    );
    format!("{{apiVersion: tailrace.dev/v1alpha1, kind: LoadTest, metadata: {{name: {name}}}, spec: {spec}}}")
}

/// The Pipeline `cifar`, ready.
pub async fn ready_pipeline(namespace: &Namespace) {
    let yaml = "{apiVersion: tailrace.dev/v1alpha1, kind: Pipeline, metadata: {name: cifar}, spec: {}}";
    namespace.create_yaml::<Pipeline>(yaml).await;
    pipeline_is(namespace, "True", "Checked", "an image went through").await;
}

/// Sets the Ready condition of the Pipeline `cifar`.
pub async fn pipeline_is(namespace: &Namespace, ready: &str, reason: &str, message: &str) {
    let status = json!({
        "observedGeneration": 1,
        "conditions": [{
            "type": "Ready", "status": ready, "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
        "kafka": { "bootstrapServers": "cifar-kafka:9092" },
        "model": { "name": "resnet20", "sha256": "4242" },
        "images": { "kafka": "apache/kafka:4.1.1" },
    });
    namespace.patch_status::<Pipeline>("cifar", status).await.unwrap();
}

/// The status of a LoadTest as soon as it is in that phase.
pub async fn until_phase(namespace: &Namespace, name: &str, phase: Phase) -> LoadTest {
    let in_phase = |test: &LoadTest| test.status.as_ref().is_some_and(|status| status.phase == phase);
    namespace.until(name, &format!("{phase:?}"), in_phase).await
}

/// The status of a LoadTest as soon as it is over.
pub async fn until_finished(namespace: &Namespace, name: &str) -> LoadTest {
    let finished = |test: &LoadTest| test.status.as_ref().is_some_and(|status| status.phase.is_final());
    namespace.until(name, "finished", finished).await
}

/// What a producer reports in the end.
#[derive(Clone)]
pub struct Run {
    pub messages: Counts,
    /// Latencies of the images that were answered, in microseconds.
    pub latencies: Vec<u64>,
    pub correct: i64,
    /// For so many seconds, each with as many images.
    pub seconds: usize,
    /// How long its CPU limit kept it from running, in microseconds.
    pub throttled_micros: i64,
    /// What the topic of the images got from all sources.
    pub topic_records: i64,
}

impl Run {
    /// So many images, each answered after so many microseconds.
    pub fn of(images: usize, micros: u64) -> Self {
        Self::with_losses(images, micros, 0)
    }

    /// So many images, of which some were lost.
    pub fn with_losses(images: usize, micros: u64, lost: usize) -> Self {
        let answered = images - lost;
        let [scheduled, received, lost] = [images, answered, lost].map(|count| u64::try_from(count).unwrap());
        let messages = Counts { scheduled, sent: scheduled, received, lost, ..Counts::default() };
        let (latencies, correct) = (vec![micros; answered], i64::try_from(answered).unwrap());
        Self { messages, latencies, correct, seconds: 1, throttled_micros: 0, topic_records: 0 }
    }

    /// So many of its images are answered only after the end of the measurement.
    pub fn with_drained(mut self, images: u64) -> Self {
        self.messages.drained = images;
        self
    }

    fn result(&self, index: i32) -> Value {
        let latency = histogram(self.latencies.iter().copied());
        let seconds = u64::try_from(self.seconds).unwrap();
        let each = |count: u64| vec![count / seconds; self.seconds];
        let of_second = |second: usize| {
            let latencies = self.latencies.chunks((self.latencies.len() / self.seconds).max(1)).nth(second);
            histogram(latencies.unwrap_or_default().iter().copied())
        };
        let each_second = 0..self.seconds;
        json!({
            "messages": self.messages,
            "warmupMessages": Counts { scheduled: 5, sent: 5, received: 5, ..Counts::default() },
            "backlog": { "images": self.messages.drained, "catchUpMicros": 750_000 },
            "correct": self.correct,
            "startDelayMicros": 100 * i64::from(index),
            "latency": latency,
            "serviceLatency": latency,
            "sendDelay": histogram((0..self.messages.sent).map(|_| 20)),
            "compared": self.messages.received,
            "measuredMicros": self.seconds * 1_000_000,
            "stages": { "queue": latency, "compute": latency, "acknowledgement": latency, "rest": latency },
            "intervals": {
                "seconds": 1, "scheduled": each(self.messages.scheduled), "answered": each(self.messages.answered_in_time()),
                "latency": each_second.map(of_second).collect::<Vec<_>>(),
            },
            "throttledMicros": self.throttled_micros,
            "topicRecords": self.topic_records,
            "clientSettings": { "linger.ms": "0" },
        })
    }
}

fn histogram(micros: impl Iterator<Item = u64>) -> String {
    let mut histogram = LatencyHistogram::new();
    micros.for_each(|micros| histogram.record(micros).unwrap());
    histogram.encode().unwrap()
}

/// One producer says that it is ready, as soon as it could have been started.
pub async fn ready(namespace: &Namespace, test: &str, index: i32) {
    let name = format!("{test}-producer-{index}");
    namespace.until::<Job>(&name, "there", |_| true).await;
    let status = json!({ "podUid": format!("uid-of-{name}"), "node": format!("node{index}"), "readyAt": now() });
    namespace.patch_status::<ProducerReport>(&name, status).await.unwrap();
}

/// One producer says how far it is.
pub async fn progress(namespace: &Namespace, test: &str, index: i32, sent: u64) {
    let messages = Counts { scheduled: sent, sent, received: sent, ..Counts::default() };
    let recent = histogram((0..sent).map(|_| 2_000));
    let status = json!({ "progress": { "messages": messages, "recentLatency": recent, "recentMillis": 1_000 } });
    namespace.patch_status::<ProducerReport>(&format!("{test}-producer-{index}"), status).await.unwrap();
}

/// One producer reports what came of its run.
pub async fn report(namespace: &Namespace, test: &str, index: i32, run: &Run) {
    let status = json!({ "result": run.result(index) });
    namespace.patch_status::<ProducerReport>(&format!("{test}-producer-{index}"), status).await.unwrap();
}

/// All producers of a test, from their start to their report, by its clock. Returns the common start.
pub async fn play(namespace: &Namespace, test: &str, runs: &[Run]) -> Timestamp {
    let indices = || (0..).zip(runs);
    for (index, _) in indices() {
        ready(namespace, test, index).await;
    }
    let start = until_started(namespace, test).await;
    sleep_until(start + Duration::from_millis(200)).await;
    for (index, _) in indices() {
        progress(namespace, test, index, 5).await;
    }
    sleep_until(start + Duration::from_millis(1_500)).await;
    for (index, run) in indices() {
        report(namespace, test, index, run).await;
    }
    start
}

/// The common start, as soon as it is published.
pub async fn until_started(namespace: &Namespace, test: &str) -> Timestamp {
    let start = |test: &LoadTest| test.status.as_ref().and_then(|status| status.start_time.clone());
    let started = namespace.until::<LoadTest>(test, "started", |test| start(test).is_some()).await;
    start(&started).unwrap().0
}

async fn sleep_until(then: Timestamp) {
    let left = then.duration_since(Timestamp::now());
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
}

fn now() -> String {
    format!("{:.6}", Timestamp::now())
}
