//! The search for the highest rate.

use super::*;

#[test]
fn max_rate_finds_the_boundary_with_evidence() {
    let (names, seen) = play(new(max_rate(20, 2_000)), at_most(234));
    // Of two producers: 20, 40, 80, 160, 320, then bisection, then again what is next to the boundary.
    assert_eq!(
        seen.written().points.iter().map(|point| point.rate_per_producer.unwrap() * 2).take(6).collect::<Vec<_>>(),
        [20, 40, 80, 160, 320, 240]
    );
    let found = seen.written().max_rate.clone().unwrap();
    let (held, missed) = (found.held.unwrap(), found.missed.unwrap());
    assert!(held <= 234 && missed > 234 && missed - held <= 22, "{found:?}");
    assert_eq!((found.held_by.len(), found.missed_by.len()), (2, 2), "two of three runs decide");
    assert_eq!(names.len(), seen.written().points.len() + 2);
    let (status, reason, message) = succeeded(&seen);
    assert_eq!((status, reason), ("True", "Found"));
    assert_eq!(message, format!("the highest rate that keeps the SLOs is {held}/s; {missed}/s does not"));
    let display = seen.written().display.as_ref().unwrap();
    assert_eq!((display.best.as_deref(), display.p95.as_deref()), (Some(format!("{held}/s").as_str()), Some("20ms")));
    assert_eq!(display.done, names.len().to_string());
}

fn searched(experiment: Experiment, end: impl Fn(&LoadTest) -> End) -> (String, String, String) {
    let (_, seen) = play(new(experiment), end);
    let (status, reason, message) = succeeded(&seen);
    (status.to_owned(), reason.to_owned(), message.to_owned())
}

#[test]
fn max_rate_says_when_its_bounds_are_the_answer() {
    let (status, reason, message) = searched(max_rate(20, 101), at_most(1_000));
    assert_eq!((status.as_str(), reason.as_str()), ("True", "UpperBoundHeld"));
    assert!(message.starts_with("100/s keeps the SLOs, and nothing higher was tried"), "{message}");
    let (status, reason, message) = searched(max_rate(19, 100), at_most(10));
    assert_eq!((status.as_str(), reason.as_str()), ("False", "LowerBoundMissed"));
    assert!(message.starts_with("20/s does not keep the SLOs, and nothing lower was tried"), "{message}");
}

#[test]
fn max_rate_refuses_an_answer_if_the_producers_were_the_limit() {
    for reason in ["GeneratorSaturated", "OfferedRateTooLow", "NoSamples"] {
        let end = |test: &LoadTest| if rate(test) > 50 { End::Invalid(reason) } else { End::P95(9_000) };
        let (status, why, message) = searched(max_rate(20, 2_000), end);
        assert_eq!((status.as_str(), why.as_str()), ("False", "ProducersLimited"));
        assert!(message.starts_with("at 80/s the producers were the limit and not the Pipeline"), "{message}");
        assert!(message.ends_with(&format!("40/s held; LoadTest \"search-1-03-1\": it is {reason}")), "{message}");
    }
}

#[test]
fn what_kafka_did_not_take_in_time_is_a_rate_that_did_not_hold() {
    let mut status =
        crate::experiment::fixtures::ended(&End::Invalid("OfferedRateTooLow"), crate::experiment::fixtures::begin());
    let outcome = crate::experiment::max_rate::outcome;
    assert_eq!(outcome(&status), Some(tailrace_crds::experiment::Outcome::ProducersLimited));
    status.result.send_delay_micros = Some(load_test::Summary { p99: Some(1_000), ..load_test::Summary::default() });
    assert_eq!(outcome(&status), Some(tailrace_crds::experiment::Outcome::Missed));
    status.result.send_delay_micros = Some(load_test::Summary { p99: Some(1_001), ..load_test::Summary::default() });
    assert_eq!(outcome(&status), Some(tailrace_crds::experiment::Outcome::ProducersLimited));
}

#[test]
fn a_rate_at_which_images_pile_up_does_not_hold_though_the_slos_were_met() {
    let (end, now) = (End::P95(9_000), crate::experiment::fixtures::begin());
    let mut status = crate::experiment::fixtures::ended(&end, now);
    let outcome = crate::experiment::max_rate::outcome;
    assert_eq!(outcome(&status), Some(tailrace_crds::experiment::Outcome::Held));
    let unstable = load_test::Warning { reason: "Unstable".into(), message: String::new() };
    status.result.warnings.push(unstable);
    assert_eq!(outcome(&status), Some(tailrace_crds::experiment::Outcome::Missed));
}

#[test]
fn max_rate_ends_with_a_test_that_says_nothing_about_its_rate() {
    let end = |test: &LoadTest| if rate(test) > 50 { End::Invalid("TooFewSamples") } else { End::P95(9_000) };
    let (status, reason, message) = searched(max_rate(20, 2_000), end);
    assert_eq!((status.as_str(), reason.as_str()), ("False", "TestFailed"));
    assert!(message.starts_with("nothing can be said about the rate, since LoadTest \"search-1-03-1\""), "{message}");
}
