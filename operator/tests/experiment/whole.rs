//! Both controllers together: the test plays only the Pipeline and the producers.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use tailrace_crds::{Experiment, LoadTest, ProducerReport, experiment::Phase, load_test};
use tailrace_operator::{context::Context, experiment, load_test as load_tests};
use tokio_util::sync::CancellationToken;

use crate::{
    load_tests::yaml,
    producers::{Run, namespace, play, ready_pipeline, until_finished, yaml as load_test_yaml},
    support::{Namespace, Operator},
};

async fn both(context: Arc<Context>, shutdown: CancellationToken) {
    tokio::join!(
        load_tests::controller(context.clone(), shutdown.clone()),
        experiment::controller(context.clone(), shutdown),
    );
}

#[tokio::test]
async fn a_sweep_goes_from_producers_to_its_table() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = Operator::start(&namespace, both);
    let template = "{pipelineRef: {name: cifar}, load: {closed: {}}, warmup: 300ms, duration: 1s, drainTimeout: 1s, \
                     slos: [{metric: P95, max: 8ms}]}";
    let spec = format!("{{sweep: {{producers: [1, 2]}}, coolDown: 0s, template: {template}}}");
    namespace.create_yaml::<Experiment>(&yaml("whole", &spec)).await;
    play(&namespace, "whole-1-01-1", &[Run::of(300, 4_000)]).await;
    play(&namespace, "whole-1-02-1", &[Run::of(300, 9_000), Run::of(300, 9_000)]).await;

    let over = |experiment: &Experiment| experiment.status.as_ref().is_some_and(|status| status.phase.is_final());
    let status = namespace.until::<Experiment>("whole", "over", over).await.status.unwrap();
    assert_eq!(status.phase, Phase::Failed, "the second LoadTest misses its SLO");
    let sentence = "1 of 2 LoadTests did not succeed; LoadTest \"whole-1-02-1\" did not succeed: P95 is 9.007ms and was to \
                    be at most 8ms";
    assert_eq!(status.message.as_deref(), Some(sentence));
    let phases: Vec<_> = status.points.iter().map(|point| point.runs[0].phase).collect();
    assert_eq!(phases, [load_test::Phase::Succeeded, load_test::Phase::Missed]);
    assert_eq!(status.points.iter().map(|point| point.valid_runs).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(status.display.unwrap().p95.as_deref(), Some("4.0ms"));
}

const TEMPLATE: &str = "{pipelineRef: {name: cifar}, load: {closed: {}}, warmup: 300ms, duration: 1s, drainTimeout: 1s, \
                         startTimeout: 1s}";

async fn until_over(namespace: &Namespace, name: &str) -> Experiment {
    let over = |experiment: &Experiment| experiment.status.as_ref().is_some_and(|status| status.phase.is_final());
    namespace.until::<Experiment>(name, "over", over).await
}

#[tokio::test]
async fn a_missing_pipeline_is_waited_for_once_and_not_for_each_point() {
    let namespace = namespace().await;
    let _operator = Operator::start(&namespace, both);
    let spec = format!("{{sweep: {{producers: [1, 2, 3, 4]}}, coolDown: 0s, template: {TEMPLATE}}}");
    namespace.create_yaml::<Experiment>(&yaml("alone", &spec)).await;
    let status = until_over(&namespace, "alone").await.status.unwrap();
    let message = status.message.unwrap();
    assert!(message.contains("Pipeline \"cifar\" does not exist in this namespace"), "{message}");
    assert!(message.ends_with("gave up after startTimeout (1s)"), "{message}");
    assert_eq!((status.done, namespace.list::<LoadTest>().await.len()), (1, 1));
}

async fn names<K: crate::support::Kind>(namespace: &Namespace) -> Vec<String> {
    let mut names: Vec<_> = namespace.list::<K>().await.iter().map(ResourceExt::name_any).collect();
    names.retain(|name| name.starts_with("kept"));
    names.sort();
    names
}

#[tokio::test]
async fn the_table_outlives_the_tests_and_these_outlive_their_reports_and_histograms() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = Operator::start(&namespace, both);
    let limits = "successfulTestsHistoryLimit: 2, histogramsHistoryLimit: 1";
    let spec = format!("{{sweep: {{producers: [1, 2, 3]}}, coolDown: 0s, {limits}, template: {TEMPLATE}}}");
    namespace.create_yaml::<Experiment>(&yaml("kept", &spec)).await;
    for (test, producers) in [("kept-1-01-1", 1), ("kept-1-02-1", 2), ("kept-1-03-1", 3)] {
        play(&namespace, test, &vec![Run::of(300, 1_000 * producers as u64); producers]).await;
    }
    let experiment = until_over(&namespace, "kept").await;
    namespace.until_gone::<LoadTest>("kept-1-01-1").await;
    namespace.until_gone::<ConfigMap>("kept-1-02-1-histograms").await;
    namespace.until_gone::<ProducerReport>("kept-1-03-1-producer-2").await;
    let pruned = |test: &LoadTest| test.annotations().get("tailrace.dev/pruned").cloned();
    let marked = |what: &'static str| move |test: &LoadTest| pruned(test).as_deref() == Some(what);
    namespace.until::<LoadTest>("kept-1-02-1", "marked", marked("reports-and-histograms")).await;
    namespace.until::<LoadTest>("kept-1-03-1", "marked", marked("reports")).await;
    assert_eq!(names::<LoadTest>(&namespace).await, ["kept-1-02-1", "kept-1-03-1"]);
    assert_eq!(names::<ConfigMap>(&namespace).await, ["kept-1-03-1-histograms"]);
    assert_eq!(names::<ProducerReport>(&namespace).await, Vec::<String>::new());
    namespace.until_gone::<k8s_openapi::api::batch::v1::Job>("kept-1-03-1-producer-2").await;

    let status = experiment.status.unwrap();
    assert_eq!((status.phase, status.done), (Phase::Succeeded, 3));
    let p95s: Vec<_> = status.points.iter().map(|point| point.runs[0].latency_micros.as_ref().unwrap().p95).collect();
    assert_eq!(p95s, [Some(1_000), Some(2_000), Some(3_001)]);

    // Another one that is to be compared with what is gone says so, and does not measure first.
    let candidate = load_test_yaml("candidate", 1, "{closed: {}}", ", baselineRef: {name: kept-1-02-1}");
    namespace.create_yaml::<LoadTest>(&candidate).await;
    let message = until_finished(&namespace, "candidate").await.status.unwrap().message.unwrap();
    let why =
        "the baseline, LoadTest \"kept-1-02-1\", has no histograms any more, since its Experiment keeps those of its";
    assert!(message.starts_with(why), "{message}");
}
