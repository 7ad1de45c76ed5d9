//! The search for the highest rate.

use tailrace_crds::{
    Experiment, LoadTest,
    experiment::{Outcome, Phase},
};

use crate::{
    load_tests::{End, condition, max_rate, operator, play},
    producers::namespace,
};

/// Images a second of all producers together.
fn rate(test: &LoadTest) -> i32 {
    test.spec.load.open.as_ref().unwrap().rate_per_producer * test.spec.producers
}

#[tokio::test]
async fn the_boundary_is_found_and_both_sides_of_it_are_confirmed() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&max_rate("found", "{from: 20, to: 1000, resolutionPercent: 10}")).await;
    let ending = |test: &LoadTest| if rate(test) <= 100 { End::P95(20_000) } else { End::Missed };
    let (names, status) = play(&namespace, "found", 1, ending).await;
    // 20, 40, 80, 160, then 120 and 100, 110; 100 and 110 again.
    let expected = ["01-1", "02-1", "03-1", "04-1", "05-1", "06-1", "07-1", "06-2", "07-2"];
    assert_eq!(names, expected.map(|place| format!("found-1-{place}")));
    let rates: Vec<_> = status.points.iter().map(|point| point.rate_per_producer.unwrap() * point.producers).collect();
    assert_eq!(rates, [20, 40, 80, 160, 120, 100, 110]);

    assert_eq!(condition(&status, "Succeeded"), ("True".into(), "Found".into()));
    let found = status.max_rate.unwrap();
    assert_eq!((found.held, found.missed, found.held_above), (Some(100), Some(110), None));
    assert_eq!(found.held_by, ["found-1-06-1", "found-1-06-2"]);
    assert_eq!(found.missed_by, ["found-1-07-1", "found-1-07-2"]);
    assert_eq!(status.points[3].runs[0].outcome, Some(Outcome::Missed));
    let display = status.display.unwrap();
    assert_eq!(
        (display.done.as_str(), display.best.as_deref(), display.p95.as_deref()),
        ("9", Some("100/s"), Some("20ms"))
    );
    assert_eq!(status.message.as_deref(), Some("the highest rate that keeps the SLOs is 100/s; 110/s does not"));
}

#[tokio::test]
async fn there_is_no_answer_if_the_producers_were_the_limit() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    namespace.create_yaml::<Experiment>(&max_rate("limited", "{from: 20, to: 1000}")).await;
    let ending = |test: &LoadTest| if rate(test) <= 50 { End::P95(20_000) } else { End::Invalid("GeneratorSaturated") };
    let (_, status) = play(&namespace, "limited", 1, ending).await;
    assert_eq!(status.phase, Phase::Failed);
    assert_eq!(condition(&status, "Succeeded"), ("False".into(), "ProducersLimited".into()));
    let message = status.message.unwrap();
    assert!(
        message
            .starts_with("at 80/s the producers were the limit and not the Pipeline, so there is no answer; 40/s held"),
        "{message}"
    );
    assert_eq!(
        status.points[2].runs.iter().map(|run| run.outcome).collect::<Vec<_>>(),
        [Some(Outcome::ProducersLimited); 2]
    );
}
