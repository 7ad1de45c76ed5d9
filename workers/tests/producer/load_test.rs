//! The producer of a LoadTest, and a real API server.

use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use serde_json::json;
use tailrace_crds::{LoadTest, ProducerReport, producer_report::ProducerReportStatus};
use tailrace_measure::histogram::LatencyHistogram;
use tempfile::TempDir;

use crate::{
    echo::{Behaviour, Echo, Reply},
    kubernetes::{Namespace, Road, api_server},
    measured::{command_line, dataset},
    support::{Pipeline, Worker, eventually},
};

const ANSWERED: Behaviour =
    Behaviour { delay: |_| Duration::from_millis(20), stall: None, replies: |_| vec![Reply::Right] };
pub const LOAD_TEST: &str = "
    apiVersion: tailrace.dev/v1alpha1
    kind: LoadTest
    metadata: {name: sweep}
    spec: {pipelineRef: {name: cifar}, producers: 1, load: {open: {ratePerProducer: 20}}}";
pub const REPORT: &str = "
    apiVersion: tailrace.dev/v1alpha1
    kind: ProducerReport
    metadata: {name: sweep-producer-0}
    spec: {loadTest: sweep, index: 0}";

/// What the operator tells the producer of that LoadTest.
pub fn environment(road: &Road, namespace: &Namespace) -> [(&'static str, String); 6] {
    [
        ("KUBECONFIG", road.kubeconfig().display().to_string()),
        ("TAILRACE_NAMESPACE", namespace.name.clone()),
        ("TAILRACE_LOAD_TEST", "sweep".to_owned()),
        ("TAILRACE_PRODUCER_REPORT", "sweep-producer-0".to_owned()),
        ("TAILRACE_POD_UID", "pod-1".to_owned()),
        ("TAILRACE_NODE", "worker-1".to_owned()),
    ]
}

/// A LoadTest with one report, a stand-in for the classifier, and the producer, which is on its way to be ready.
struct Scene {
    namespace: Namespace,
    road: Road,
    echo: Echo,
    producer: Worker,
    _dataset: TempDir,
    _pipeline: Pipeline,
}

impl Scene {
    async fn new(topics: &'static str) -> Self {
        let namespace = api_server().await.namespace().await;
        namespace.create_yaml::<LoadTest>(LOAD_TEST).await;
        namespace.create_yaml::<ProducerReport>(REPORT).await;
        Self::with(namespace, topics).await
    }

    async fn with(namespace: Namespace, topics: &'static str) -> Self {
        let road = Road::to_api_server().await;
        let (pipeline, dataset) = (Pipeline::new(topics, 1), dataset());
        let echo = Echo::start(&pipeline, ANSWERED);
        let flags = "--rate 20 --warmup 1s --duration 2s";
        let producer = Worker::start(&command_line(&pipeline, dataset.path(), flags), &environment(&road, &namespace));
        Self { namespace, road, echo, producer, _dataset: dataset, _pipeline: pipeline }
    }

    /// The report's status, as soon as it is as wanted.
    async fn report(&self, what: &str, wanted: impl Fn(&ProducerReportStatus) -> bool) -> ProducerReportStatus {
        let is_wanted = |report: &ProducerReport| report.status.as_ref().is_some_and(&wanted);
        self.namespace.until::<ProducerReport>("sweep-producer-0", what, is_wanted).await.status.unwrap()
    }

    async fn start(&self) {
        self.report("ready", |report| report.ready_at.is_some()).await;
        let start = Timestamp::now() + 500.milliseconds();
        let started = self.namespace.patch_status::<LoadTest>("sweep", json!({ "startTime": start.to_string() })).await;
        started.unwrap();
    }

    /// The exit code.
    fn ended(&mut self) -> Option<i32> {
        self.producer.process.wait(Duration::from_secs(30)).code()
    }
}

#[tokio::test]
async fn it_claims_its_report_waits_for_the_start_and_delivers_the_result_once() {
    let mut scene = Scene::new("load-test").await;
    let ready = scene.report("ready", |report| report.ready_at.is_some()).await;
    assert_eq!((ready.pod_uid.as_deref(), ready.node.as_deref()), (Some("pod-1"), Some("worker-1")));
    assert_eq!(ready.waiting.unwrap().reason, "CommonStart");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(scene.echo.seen().is_empty(), "nothing is sent before the start");

    scene.start().await;
    let under_way = scene.report("under way", |report| report.progress.is_some()).await;
    assert_eq!(under_way.waiting, None);
    let progress = under_way.progress.unwrap();
    assert!(progress.messages.scheduled > 0 && progress.messages.scheduled <= 60, "{progress:?}");
    assert!(LatencyHistogram::decode(&progress.recent_latency).unwrap().count() > 0 && progress.recent_millis > 0);
    let result = scene.report("finished", |report| report.result.is_some()).await.result.unwrap();
    assert_eq!(scene.ended(), Some(0), "{}", scene.producer.process.log());

    assert_eq!((result.warmup_messages.scheduled, result.warmup_messages.received), (20, 20));
    assert_eq!((result.messages.scheduled, result.messages.sent, result.messages.received), (40, 40, 40));
    assert_eq!((result.correct, result.compared, result.measured_micros), (40, 40, 2_000_000));
    assert_eq!((result.intervals.seconds, &result.intervals.scheduled), (1, &vec![20, 20]));
    assert_eq!(result.topic_records, Some(60), "nobody else has sent anything");
    assert!((0..1_000_000).contains(&result.start_delay_micros), "{} µs", result.start_delay_micros);
    let stages = &result.stages;
    let stages = [&stages.queue, &stages.compute, &stages.acknowledgement, &stages.rest];
    for histogram in [&result.latency, &result.service_latency, &result.send_delay].into_iter().chain(stages) {
        assert_eq!(LatencyHistogram::decode(histogram).unwrap().count(), 40);
    }
    assert!(LatencyHistogram::decode(&result.latency).unwrap().min().unwrap() >= 20_000);
    assert_eq!(result.client_settings["producer.linger.ms"], "0");
}

#[tokio::test]
async fn a_result_waits_for_the_api_server() {
    let mut scene = Scene::new("api-away").await;
    scene.start().await;
    eventually("images", Duration::from_secs(20), || (scene.echo.seen().len() > 10).then_some(()));
    scene.road.close();
    eventually("all images", Duration::from_secs(20), || (scene.echo.seen().len() == 60).then_some(()));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(scene.producer.process.is_running(), "{}", scene.producer.process.log());

    scene.road.open();
    let result = scene.report("finished", |report| report.result.is_some()).await.result.unwrap();
    assert_eq!(result.messages.received, 40);
    assert_eq!(scene.ended(), Some(0));
}

#[tokio::test]
async fn the_report_of_another_pod_is_left_alone() {
    let namespace = api_server().await.namespace().await;
    namespace.create_yaml::<LoadTest>(LOAD_TEST).await;
    namespace.create_yaml::<ProducerReport>(REPORT).await;
    namespace.patch_status::<ProducerReport>("sweep-producer-0", json!({ "podUid": "pod-0" })).await.unwrap();
    let mut scene = Scene::with(namespace, "another-pod").await;
    assert_eq!(scene.ended(), Some(1));
    assert!(scene.producer.process.log().contains("belongs to another pod"), "{}", scene.producer.process.log());
    let report = scene.report("claimed", |report| report.pod_uid.is_some()).await;
    assert_eq!((report.pod_uid.as_deref(), report.failure), (Some("pod-0"), None));
}

#[tokio::test]
async fn asked_to_stop_it_says_so_in_its_report() {
    let mut scene = Scene::new("asked-to-stop").await;
    scene.start().await;
    eventually("images", Duration::from_secs(20), || (scene.echo.seen().len() > 5).then_some(()));
    assert_eq!(scene.producer.process.terminate(Duration::from_secs(10)).code(), Some(1));
    let failure = scene.report("failed", |report| report.failure.is_some()).await.failure.unwrap();
    assert_eq!(failure, "the producer was asked to stop before the end of its run");
}

#[tokio::test]
async fn a_load_test_that_is_deleted_ends_its_producer() {
    let mut scene = Scene::new("deleted").await;
    scene.report("ready", |report| report.ready_at.is_some()).await;
    scene.namespace.delete::<LoadTest>("sweep").await;
    assert_eq!(scene.ended(), Some(1));
    assert!(scene.producer.process.log().contains("was deleted before it began"), "{}", scene.producer.process.log());
}

#[tokio::test]
async fn aborted_it_stops_sending_and_delivers_what_it_has_measured() {
    let mut scene = Scene::new("aborted").await;
    scene.start().await;
    // A second of warm-up, and half of one of the measurement.
    eventually("images", Duration::from_secs(20), || (scene.echo.seen().len() >= 30).then_some(()));
    let patch = kube::api::Patch::Merge(json!({ "spec": { "abort": true } }));
    let load_tests = scene.namespace.api::<LoadTest>();
    load_tests.patch("sweep", &kube::api::PatchParams::default(), &patch).await.unwrap();
    let result = scene.report("finished", |report| report.result.is_some()).await.result.unwrap();
    assert_eq!(scene.ended(), Some(0), "{}", scene.producer.process.log());

    let sent = scene.echo.seen().len() as u64;
    assert!((30..60).contains(&sent), "{sent}");
    assert_eq!((result.messages.scheduled + 20, result.messages.received + 20), (sent, sent));
    assert_eq!(result.messages.lost, 0, "what was sent is waited for");
    let expected = result.messages.scheduled * 50_000;
    assert!((expected - 50_000..=expected + 50_000).contains(&result.measured_micros), "{}", result.measured_micros);
}
