//! Sweeps.

use std::time::Duration;

use kube::ResourceExt;
use tailrace_crds::{
    Experiment, LoadTest,
    experiment::{Phase, Spread},
};
use tokio::time::Instant;

use crate::{
    load_tests::{End, condition, end, operator, play, sweep, until_made, yaml},
    producers::namespace,
};

#[tokio::test]
async fn a_sweep_measures_its_points_in_order_and_shows_the_table() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&sweep("table", "{producers: [3, 1], repetitions: 3, order: Listed}")).await;
    // 31, 32 and 33 ms with three producers; 11, 12 and 13 with one.
    let p95 = |test: &LoadTest| {
        let repetition = i64::from(test.name_any().as_bytes()[11] - b'0');
        End::P95(10_000 * i64::from(test.spec.producers) + 1_000 * repetition)
    };
    let (names, status) = play(&namespace, "table", 1, p95).await;
    let expected = ["table-1-01-1", "table-1-02-1", "table-1-01-2", "table-1-02-2", "table-1-01-3", "table-1-02-3"];
    assert_eq!(names, expected);

    assert_eq!((status.phase, status.done, status.total), (Phase::Succeeded, 6, Some(6)));
    assert_eq!(condition(&status, "Finished"), ("True".into(), "Completed".into()));
    assert_eq!(condition(&status, "Succeeded"), ("True".into(), "Completed".into()));
    assert_eq!(condition(&status, "Reconciling").0, "False");
    let first = &status.points[0];
    assert_eq!((first.producers, first.rate_per_producer, first.valid_runs), (3, None, 3));
    assert_eq!((first.runs[0].lost, first.runs[0].achieved_rate.as_deref()), (Some(2), Some("19.6")));
    let spread = Spread { median: Some(32_000), min: Some(31_000), max: Some(33_000), standard_deviation: Some(1_000) };
    assert_eq!(first.latency_micros.as_ref().unwrap().p95, spread);
    let display = status.display.unwrap();
    assert_eq!(
        (display.done.as_str(), display.best.as_deref(), display.p95.as_deref()),
        ("6/6", Some("1 producer"), Some("12ms"))
    );

    namespace.until_event("table", "Normal Starting: begins a round of 6 LoadTests").await;
    namespace.until_event("table", "Normal Completed: 6 of 6 LoadTests succeeded").await;
}

#[tokio::test]
async fn a_list_of_rates_replaces_the_rate_of_the_template() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    let spec = "{sweep: {ratesPerProducer: [30, 10]}, coolDown: 0s, template: \
                 {pipelineRef: {name: cifar}, producers: 2, load: {open: {ratePerProducer: 1, arrivals: Poisson}}}}";
    namespace.create_yaml::<Experiment>(&yaml("rates", spec)).await;
    let rate = |test: &LoadTest| test.spec.load.open.as_ref().unwrap().rate_per_producer;
    let (_, status) = play(&namespace, "rates", 1, |test| End::P95(i64::from(rate(test)) * 1_000)).await;
    assert_eq!(rate(&namespace.get("rates-1-01-1").await), 30);
    assert_eq!(status.best.as_ref().unwrap().rate, Some(20));
    assert_eq!(status.display.unwrap().best.as_deref(), Some("20/s"));
}

#[tokio::test]
async fn a_shuffled_order_follows_from_the_seed() {
    let order = async |seed: i32| {
        let namespace = namespace().await;
        let _operator = operator(&namespace);
        let list = format!("{{producers: [1, 2, 3, 4, 5], repetitions: 2, seed: {seed}}}");
        namespace.create_yaml::<Experiment>(&sweep("shuffled", &list)).await;
        play(&namespace, "shuffled", 1, |_| End::P95(1_000)).await.0
    };
    let (first, again, other) = tokio::join!(order(1), order(1), order(2));
    assert_eq!(first, again);
    assert_ne!(first, other);
    for repetition in [&first[..5], &first[5..]] {
        let mut points: Vec<_> = repetition.iter().map(|name| &name[..13]).collect();
        points.sort_unstable();
        assert_eq!(points.len(), 5, "{first:?}");
        points.dedup();
        assert_eq!(points.len(), 5, "each point once in each repetition: {first:?}");
    }
}

#[tokio::test]
async fn the_pipeline_is_left_alone_between_two_tests() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    let slow = sweep("cool", "{producers: [1, 2]}").replace("coolDown: 0s", "coolDown: 2s");
    namespace.create_yaml::<Experiment>(&slow).await;
    until_made(&namespace, "cool-1-01-1").await;
    end(&namespace, "cool-1-01-1", End::P95(1_000)).await;
    let ended = Instant::now();
    let phase =
        |phase| move |experiment: &Experiment| experiment.status.as_ref().is_some_and(|status| status.phase == phase);
    namespace.until::<Experiment>("cool", "cooling down", phase(Phase::CoolingDown)).await;
    until_made(&namespace, "cool-1-02-1").await;
    assert!(ended.elapsed() >= Duration::from_millis(1_900), "{:?}", ended.elapsed());
    namespace.until::<Experiment>("cool", "running", phase(Phase::Running)).await;
}

#[tokio::test]
async fn a_sweep_that_stops_on_failure_ends_at_the_first() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&sweep("stops", "{producers: [1, 2, 3], stopOnFailure: true}")).await;
    let ending =
        |test: &LoadTest| if test.spec.producers == 2 { End::Invalid("ProducerFailed") } else { End::P95(1_000) };
    let (names, status) = play(&namespace, "stops", 1, ending).await;
    assert_eq!(names, ["stops-1-01-1", "stops-1-02-1"]);
    assert_eq!(status.phase, Phase::Failed);
    assert_eq!(condition(&status, "Finished").0, "True");
    assert_eq!(condition(&status, "Succeeded"), ("False".into(), "TestFailed".into()));
    assert_eq!(condition(&status, "Stalled").0, "True");
}

#[tokio::test]
async fn a_sweep_with_failures_goes_on_and_has_not_succeeded_in_the_end() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&sweep("partly", "{producers: [1, 2, 3]}")).await;
    let ending = |test: &LoadTest| match test.spec.producers {
        1 => End::Invalid("ProducerFailed"),
        2 => End::Missed,
        _ => End::P95(9_000),
    };
    let (names, status) = play(&namespace, "partly", 1, ending).await;
    assert_eq!(names.len(), 3);
    let sentence = "2 of 3 LoadTests did not succeed; LoadTest \"partly-1-01-1\" did not succeed: it is ProducerFailed";
    assert_eq!(status.message.as_deref(), Some(sentence));
    assert_eq!(status.points[0].runs[0].reason.as_deref(), Some("ProducerFailed"));
    assert_eq!((status.points[0].valid_runs, status.points[1].valid_runs), (0, 1), "a missed SLO is a valid result");
    assert_eq!(status.points[1].latency_micros.as_ref().unwrap().p95, Spread::default(), "infinite");
    assert_eq!(status.display.unwrap().best.as_deref(), Some("3 producers"));
    let events = namespace.events("partly").await;
    let warned = |test: &str| format!("Warning TestFailed: LoadTest \"{test}\" did not succeed: ");
    for test in ["partly-1-01-1", "partly-1-02-1"] {
        assert!(events.iter().any(|event| event.starts_with(&warned(test))), "{events:?}");
    }
}
