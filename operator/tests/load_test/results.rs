//! From the producers' reports to the numbers in the status.

use std::{collections::BTreeSet, time::Duration};

use kube::ResourceExt;
use tailrace_crds::{
    LoadTest,
    conditions::{reasons, types},
    load_test::{Counts, LoadTestStatus, Phase, Rate, Summary},
};
use tailrace_measure::accounting::Backlog;
use tailrace_operator::conditions::{find, is_true};

use crate::{
    producers::{Run, load_test, namespace, operator, play, ready_pipeline, until_finished, yaml},
    support::Namespace,
};

async fn finished(namespace: &Namespace, name: &str, runs: &[Run]) -> LoadTestStatus {
    play(namespace, name, runs).await;
    until_finished(namespace, name).await.status.unwrap()
}

#[tokio::test]
async fn histograms_are_summed_and_every_image_is_accounted_for() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "sum", 2).await;
    // Percentiles of the sum: an average of the two p50 would be 5.5 ms.
    let status = finished(&namespace, "sum", &[Run::of(90, 1_000), Run::of(10, 10_000)]).await;

    assert_eq!(status.phase, Phase::Succeeded);
    for type_ in [types::ACCEPTED, types::FINISHED, types::SUCCEEDED, types::RESULTS_VALID] {
        assert!(is_true(&status.conditions, type_), "{type_}");
    }
    assert_eq!(status.result.messages, Some(Counts { scheduled: 100, sent: 100, received: 100, ..Counts::default() }));
    assert_eq!(status.result.warmup_messages.unwrap().received, 10);
    let latency = status.result.latency_micros.unwrap();
    let expected = Summary {
        count: 100,
        min: Some(1_000),
        mean: Some(1_900),
        p50: Some(1_000),
        p90: Some(1_000),
        p95: Some(10_007),
        p99: Some(10_007),
        p999: Some(10_007),
        max: Some(10_007),
    };
    assert_eq!(latency, expected);
    assert_eq!(status.result.rate, Some(Rate { target: None, offered: "100.0".into(), achieved: "100.0".into() }));
    assert_eq!(status.result.start_skew_micros, Some(100));
    assert_eq!(status.result.accuracy_percent.as_deref(), Some("100.0"));
    assert_eq!(status.message.as_deref(), Some("100 images, all answered; p95 10ms"));
    let display = status.display.unwrap();
    assert_eq!(
        (display.load.as_str(), display.p50.as_deref(), display.p95.as_deref()),
        ("closed", Some("1.0ms"), Some("10ms"))
    );

    let environment = status.result.environment.unwrap();
    assert_eq!(environment.images["producer"], "tailrace-worker:test");
    assert_eq!(environment.images["kafka"], "apache/kafka:4.1.1");
    assert_eq!(environment.model.unwrap().sha256, "4242");
    assert_eq!(environment.producer_nodes, ["node0", "node1"]);
    assert_eq!(environment.client_settings["linger.ms"], "0");
}

#[tokio::test]
async fn with_more_than_five_percent_lost_the_p95_is_unbounded_and_reads_so() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "lossy", 1).await;
    let status = finished(&namespace, "lossy", &[Run::with_losses(100, 2_000, 6)]).await;

    let latency = status.result.latency_micros.unwrap();
    assert_eq!((latency.p90, latency.p95, latency.p99, latency.max), (Some(2_000), None, None, None));
    let display = status.display.unwrap();
    assert_eq!((display.p90.as_deref(), display.p95.as_deref()), (Some("2.0ms"), Some(">1s")));
    assert_eq!(status.result.messages.unwrap().lost, 6);
    assert_eq!(status.phase, Phase::Succeeded, "a loss is a result, and a valid one");
    assert_eq!(status.message.as_deref(), Some("100 images, of which 6 were lost; p95 >1s"));
}

/// A LoadTest with these SLOs whose only producer reports a hundred images of 2 ms, six of which were lost.
async fn with_slos(namespace: &Namespace, name: &str, slos: &str) -> LoadTestStatus {
    namespace.create_yaml::<LoadTest>(&yaml(name, 1, "{closed: {}}", &format!(", slos: {slos}"))).await;
    finished(namespace, name, &[Run::with_losses(100, 2_000, 6)]).await
}

#[tokio::test]
async fn a_result_that_keeps_its_slos_has_succeeded() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    let slos = "[{metric: P90, max: 3ms}, {metric: LostPercent, max: '6'}, {metric: AccuracyPercent, min: '99.5'}]";
    let status = with_slos(&namespace, "good", slos).await;
    assert_eq!(status.phase, Phase::Succeeded, "{:?}", status.message);
    assert!(is_true(&status.conditions, types::SLOS_MET));
    assert_eq!(status.display.unwrap().slo.as_deref(), Some("3/3"));
    let observed: Vec<_> = status.result.slos.iter().map(|slo| slo.observed.as_deref().unwrap()).collect();
    assert_eq!(observed, ["2ms", "6", "100"]);
}

#[tokio::test]
async fn a_result_that_misses_an_slo_is_valid_and_has_failed() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    let status = with_slos(&namespace, "bad", "[{metric: P90, max: 3ms}, {metric: Max, max: 1s}]").await;
    assert_eq!(status.phase, Phase::Missed);
    assert!(is_true(&status.conditions, types::RESULTS_VALID) && is_true(&status.conditions, types::FINISHED));
    let missed = find(&status.conditions, types::SLOS_MET).unwrap();
    assert_eq!((missed.status.as_str(), missed.reason.as_str()), ("False", reasons::SLO_MISSED));
    assert_eq!(status.message.as_deref(), Some("Max is >1s and was to be at most 1s"));
    let valid = find(&status.conditions, types::RESULTS_VALID).unwrap();
    assert_eq!((valid.reason.as_str(), valid.message.as_str()), ("Valid", "100 images, of which 6 were lost; p95 >1s"));
    assert_eq!(status.display.unwrap().slo.as_deref(), Some("1/2"));
    assert_eq!(status.result.slos.iter().map(|slo| slo.met).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn an_slo_on_a_quantile_with_too_few_images_makes_the_result_invalid() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    let status = with_slos(&namespace, "few", "[{metric: P99, max: 1h}]").await;
    let valid = find(&status.conditions, types::RESULTS_VALID).unwrap();
    assert_eq!((valid.status.as_str(), valid.reason.as_str()), ("False", reasons::TOO_FEW_SAMPLES));
    assert_eq!(find(&status.conditions, types::SLOS_MET).unwrap().status, "Unknown");
    assert!(valid.message.contains("1000 images are wanted, and 100 were scheduled"), "{}", valid.message);
}

#[tokio::test]
async fn counts_that_disagree_make_the_result_invalid_and_are_shown() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "vanished", 1).await;
    let mut run = Run::of(100, 2_000);
    run.messages.received = 90;
    let status = finished(&namespace, "vanished", &[run]).await;

    assert_eq!(status.phase, Phase::Invalid);
    let valid = find(&status.conditions, types::RESULTS_VALID).unwrap();
    assert_eq!((valid.status.as_str(), valid.reason.as_str()), ("False", reasons::COUNTS_DISAGREE));
    assert!(!is_true(&status.conditions, types::SUCCEEDED));
    assert!(is_true(&status.conditions, types::FINISHED), "`kubectl wait` must return");
    assert_eq!(status.result.messages.unwrap().received, 90, "what was measured is shown");
    namespace.until_event("vanished", "Warning CountsDisagree").await;
}

#[tokio::test]
async fn an_open_load_has_a_target_and_less_than_99_percent_of_it_is_invalid() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    for (name, sent, phase) in [("enough", 20, Phase::Succeeded), ("slow", 19, Phase::Invalid)] {
        let yaml = yaml(name, 2, "{open: {ratePerProducer: 20}}", "");
        namespace.create_yaml::<LoadTest>(&yaml).await;
        let status = finished(&namespace, name, &[Run::of(20, 2_000), Run::of(sent, 2_000)]).await;
        assert_eq!(status.phase, phase, "{name}: {:?}", status.message);
        assert_eq!(status.result.rate.unwrap().target.as_deref(), Some("40.0"));
        assert_eq!(status.display.unwrap().load, "open 20/s");
    }
}

#[tokio::test]
async fn what_is_answered_in_the_drain_is_not_achieved() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    let slos = ", slos: [{metric: AchievedRatePercent, min: '99'}]";
    namespace.create_yaml::<LoadTest>(&yaml("behind", 2, "{open: {ratePerProducer: 30}}", slos)).await;
    let status =
        finished(&namespace, "behind", &[Run::of(30, 2_000).with_drained(10), Run::of(30, 2_000).with_drained(5)])
            .await;
    let messages = status.result.messages.unwrap();
    assert_eq!((messages.received, messages.drained), (60, 15));
    assert_eq!(status.result.backlog, Some(Backlog { images: 15, catch_up_micros: Some(750_000) }));
    let rate = status.result.rate.unwrap();
    assert_eq!((rate.offered.as_str(), rate.achieved.as_str()), ("60.0", "45.0"));
    assert_eq!(status.message.as_deref(), Some("AchievedRatePercent is 75 % and was to be at least 99 %"));
    assert!(is_true(&status.conditions, types::RESULTS_VALID));
}

#[tokio::test]
async fn progress_is_shown_while_the_test_runs_with_few_writes() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    let long = yaml("long", 1, "{closed: {}}", "").replace("duration: 1s", "duration: 6s");
    namespace.create_yaml::<LoadTest>(&long).await;
    crate::producers::ready(&namespace, "long", 0).await;
    crate::producers::until_started(&namespace, "long").await;
    let mut versions = BTreeSet::new();
    for sent in 1..=60 {
        crate::producers::progress(&namespace, "long", 0, sent).await;
        versions.insert(namespace.get::<LoadTest>("long").await.resource_version());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!((3..=8).contains(&versions.len()), "{} writes in 6 s", versions.len());
    let shown = namespace.get::<LoadTest>("long").await.status.unwrap().result.messages.unwrap().sent;
    assert!((20..=60).contains(&shown), "{shown} of 60 are shown");
}
