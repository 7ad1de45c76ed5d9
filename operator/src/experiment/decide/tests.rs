//! Whole Experiments, decision by decision, without an API server.

mod searches;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use tailrace_crds::{
    Experiment,
    conditions::types,
    experiment::{RERUN_ANNOTATION, Spread},
    load_test,
};

use super::*;
use crate::{
    conditions::find,
    experiment::fixtures::{End, max_rate, new, sweep},
};

/// An Experiment whose first round is written down.
fn begun(experiment: Experiment) -> Observation {
    let seen = new(experiment);
    let first = decide(&seen);
    seen.after(&first)
}

/// Decides, does it, and ends each LoadTest as `end` says, until nothing is to be done. Returns the names in their
/// order.
fn play(mut seen: Observation, end: impl Fn(&LoadTest) -> End) -> (Vec<String>, Observation) {
    let mut names = Vec::new();
    for _ in 0..1_000 {
        let decision = decide(&seen);
        seen = seen.after(&decision);
        match (&decision.create, decision.look_again) {
            (Some(test), _) => {
                names.push(test.name_any());
                seen = seen.later(20).with_end(&test.name_any(), &end(test));
            }
            (None, Some(left)) => seen = seen.later(left.as_secs()),
            (None, None) => return (names, seen),
        }
    }
    panic!("no end: {names:?}")
}

fn succeeded(seen: &Observation) -> (&str, &str, &str) {
    let condition = find(&seen.written().conditions, types::SUCCEEDED).unwrap();
    (condition.status.as_str(), condition.reason.as_str(), condition.message.as_str())
}

/// The rate of all producers together.
fn rate(test: &LoadTest) -> i32 {
    test.spec.load.open.as_ref().unwrap().rate_per_producer * test.spec.producers
}

fn at_most(limit: i32) -> impl Fn(&LoadTest) -> End {
    move |test| if rate(test) <= limit { End::P95(20_000) } else { End::Missed }
}

#[test]
fn a_sweep_makes_its_tests_one_after_another_and_sums_them_up() {
    let p95 = |test: &LoadTest| {
        End::P95(
            10_000 * u64::from(test.spec.producers.unsigned_abs())
                + if test.name_any().ends_with("-1") { 600 } else { 0 },
        )
    };
    let (names, seen) = play(new(sweep(&[2, 1], 2)), p95);
    assert_eq!(names, ["sweep-1-01-1", "sweep-1-02-1", "sweep-1-01-2", "sweep-1-02-2"]);
    assert_eq!(succeeded(&seen), ("True", "Completed", "4 of 4 LoadTests succeeded"));
    let status = seen.written();
    assert_eq!((status.phase, status.done, status.total), (Phase::Succeeded, 4, Some(4)));
    let spread = Spread { median: Some(20_600), min: Some(20_000), max: Some(20_600), standard_deviation: None };
    assert_eq!(status.points[0].latency_micros.as_ref().unwrap().p95, spread);
    let display = status.display.as_ref().unwrap();
    assert_eq!(
        (display.done.as_str(), display.best.as_deref(), display.p95.as_deref()),
        ("4/4", Some("1 producer"), Some("11ms"))
    );
}

#[test]
fn a_round_is_written_down_before_its_first_test_so_that_the_next_can_be_asked_for_as_soon_as_that_is_seen() {
    let seen = new(sweep(&[1, 2], 1));
    let first = decide(&seen);
    assert_eq!(first.announcements[0].note, "begins a round of 2 LoadTests");
    assert_eq!((first.create.is_none(), first.status.phase, first.status.round), (true, Phase::Pending, 1));
    assert_eq!(first.look_again, Some(Duration::ZERO));
    let seen = seen.after(&first);
    assert!(decide(&seen).create.is_some());
    assert_eq!(decide(&annotated(seen, "again")).status.round, 2);
}

#[test]
fn the_next_test_waits_for_the_end_of_the_cool_down() {
    let seen = begun(sweep(&[1, 2], 1));
    let seen = seen.clone().after(&decide(&seen)).later(20);
    let running = decide(&seen);
    assert_eq!((running.create.is_none(), running.status.phase), (true, Phase::Running), "one at a time");
    let seen = seen.after(&running).with_end("sweep-1-01-1", &End::P95(1_000)).later(2);
    let cooling = decide(&seen);
    assert_eq!((cooling.create.is_none(), cooling.status.phase), (true, Phase::CoolingDown));
    assert_eq!(cooling.look_again, Some(Duration::from_secs(3)));
    let second = decide(&seen.after(&cooling).later(3));
    assert_eq!(second.create.unwrap().name_any(), "sweep-1-02-1");
}

#[test]
fn a_shuffled_sweep_has_each_point_once_in_each_repetition() {
    let shuffled = || {
        let mut experiment = sweep(&[1, 2, 3, 4, 5], 3);
        experiment.spec.sweep.as_mut().unwrap().order = None;
        experiment
    };
    let (names, _) = play(new(shuffled()), |_| End::P95(1_000));
    let (again, _) = play(new(shuffled()), |_| End::P95(1_000));
    assert_eq!(names, again, "the same seed, the same order");
    for (repetition, block) in names.chunks(5).enumerate() {
        let mut sorted = block.to_vec();
        sorted.sort();
        let expected: Vec<_> = (1..=5).map(|point| format!("sweep-1-{point:02}-{}", repetition + 1)).collect();
        assert_eq!(sorted, expected);
    }
    let mut sorted = names[..5].to_vec();
    sorted.sort();
    assert_ne!(names[..5], sorted, "it is shuffled");
}

#[test]
fn failures_are_shown_in_the_table_and_the_others_measured_all_the_same() {
    let end = |test: &LoadTest| if test.spec.producers == 1 { End::Invalid("ProducerFailed") } else { End::P95(9_000) };
    let (names, seen) = play(new(sweep(&[1, 2], 1)), end);
    assert_eq!(names.len(), 2);
    let sentence = "1 of 2 LoadTests did not succeed; LoadTest \"sweep-1-01-1\" did not succeed: it is ProducerFailed";
    assert_eq!(succeeded(&seen), ("False", "TestFailed", sentence));
    let failed = &seen.written().points[0];
    assert_eq!((failed.valid_runs, failed.runs[0].valid, failed.latency_micros.is_none()), (0, Some(false), true));
    assert_eq!(seen.written().display.as_ref().unwrap().best.as_deref(), Some("2 producers"));
}

#[test]
fn a_sweep_that_stops_on_failure_makes_no_further_test() {
    let mut experiment = sweep(&[1, 2, 3], 1);
    experiment.spec.sweep.as_mut().unwrap().stop_on_failure = true;
    let end = |test: &LoadTest| if test.spec.producers == 2 { End::Missed } else { End::P95(9_000) };
    let (names, seen) = play(new(experiment), end);
    assert_eq!(names, ["sweep-1-01-1", "sweep-1-02-1"]);
    let (status, reason, message) = succeeded(&seen);
    assert_eq!((status, reason), ("False", "TestFailed"));
    assert!(message.starts_with("stopped, since LoadTest \"sweep-1-02-1\" did not succeed"), "{message}");
    assert_eq!(seen.written().display.as_ref().unwrap().done, "2/3");
}

#[test]
fn an_operator_killed_between_two_writes_makes_nothing_twice() {
    let seen = begun(sweep(&[1, 2], 1));
    let first = decide(&seen);
    let seen = seen.killed_after_creation(&first);
    let again = decide(&seen);
    assert_eq!((again.create.is_none(), again.status.phase), (true, Phase::Running));
    // It was over before the next operator came.
    let seen = seen.with_end("sweep-1-01-1", &End::P95(1_000)).later(60);
    let next = decide(&seen);
    assert_eq!((next.create.unwrap().name_any().as_str(), next.status.done), ("sweep-1-02-1", 1));
}

#[test]
fn a_test_deleted_before_its_end_is_made_again_and_one_deleted_after_it_is_not() {
    let seen = begun(sweep(&[1, 2], 1));
    let mut seen = seen.clone().after(&decide(&seen));
    seen.tests.clear();
    assert_eq!(decide(&seen).create.unwrap().name_any(), "sweep-1-01-1");

    let seen = seen.clone().after(&decide(&seen)).with_end("sweep-1-01-1", &End::P95(1_000));
    let mut seen = seen.clone().after(&decide(&seen)).later(5);
    seen.tests.clear();
    assert_eq!(decide(&seen).create.unwrap().name_any(), "sweep-1-02-1");
}

#[test]
fn a_name_that_is_taken_ends_the_experiment() {
    let mut seen = begun(sweep(&[1], 1));
    let mut foreign = *decide(&seen).create.unwrap();
    (foreign.metadata.owner_references, foreign.metadata.labels) = (None, None);
    seen.tests.push(foreign.into());
    let decision = decide(&seen);
    assert_eq!((decision.create.is_none(), decision.status.phase), (true, Phase::Failed));
    let message = decision.status.message.unwrap();
    assert!(message.starts_with("LoadTest \"sweep-1-01-1\" exists already and belongs to somebody else"), "{message}");
}

#[test]
fn what_an_earlier_experiment_has_left_is_waited_for_and_not_for_ever() {
    let mut seen = begun(sweep(&[1], 1));
    let mut left = *decide(&seen).create.unwrap();
    left.metadata.owner_references.as_mut().unwrap()[0].uid = "uid-of-an-earlier-one".into();
    seen.tests.push(left.into());
    let waiting = decide(&seen);
    assert_eq!((waiting.create.is_none(), waiting.status.phase), (true, Phase::Pending));
    let message = waiting.status.message.clone().unwrap();
    assert!(message.ends_with("of an earlier Experiment \"sweep\" is still to be deleted by the garbage collector"));
    let end = decide(&seen.clone().after(&waiting).later(601));
    assert_eq!(end.status.phase, Phase::Failed);
    assert!(end.status.message.unwrap().contains("; gave up after startTimeout ("));
    seen.tests.clear();
    assert!(decide(&seen).create.is_some());
}

#[test]
fn a_suspended_experiment_makes_nothing_and_goes_on_afterwards() {
    let mut seen = begun(sweep(&[1], 1));
    seen.experiment.spec.suspend = true;
    let suspended = decide(&seen);
    assert_eq!((suspended.create.is_none(), suspended.status.phase), (true, Phase::Suspended));
    let mut seen = seen.after(&suspended);
    assert_eq!(decide(&seen).status, suspended.status, "nothing new");
    seen.experiment.spec.suspend = false;
    assert!(decide(&seen).create.is_some());
}

#[test]
fn an_aborted_experiment_aborts_the_test_that_runs_and_ends_with_what_it_knows() {
    let seen = begun(sweep(&[1, 2], 1));
    let mut seen = seen.clone().after(&decide(&seen));
    seen.experiment.spec.abort = true;
    seen.test_mut("sweep-1-01-1").status = Some(load_test::LoadTestStatus::default());
    let aborting = decide(&seen);
    assert_eq!(aborting.abort.as_ref().unwrap().name_any(), "sweep-1-01-1");
    let mut seen = seen.after(&aborting);
    seen.test_mut("sweep-1-01-1").spec.abort = true;
    assert!(decide(&seen).abort.is_none(), "once");

    let seen = seen.with_end("sweep-1-01-1", &End::Invalid("Aborted"));
    let ended = decide(&seen);
    assert_eq!((ended.create.is_none(), ended.status.phase, ended.status.done), (true, Phase::Aborted, 1));
    assert_eq!(succeeded(&seen.after(&ended)).1, "Aborted");

    let mut never = begun(sweep(&[1, 2], 1));
    never.experiment.spec.abort = true;
    assert_eq!(decide(&never).status.phase, Phase::Aborted);
}

#[test]
fn an_abort_waits_for_no_test_that_nobody_has_looked_at_or_that_is_being_deleted() {
    let begun = begun(sweep(&[1, 2], 1));
    let mut unseen = begun.clone().after(&decide(&begun));
    unseen.experiment.spec.abort = true;
    let ended = decide(&unseen);
    assert_eq!((ended.status.phase, ended.abort.is_some()), (Phase::Aborted, true));

    let mut deleted = unseen.clone();
    let test = deleted.test_mut("sweep-1-01-1");
    test.status = Some(load_test::LoadTestStatus::default());
    test.metadata.deletion_timestamp = Some(Time(unseen.now));
    assert_eq!(decide(&deleted).status.phase, Phase::Aborted);
}

#[test]
fn an_end_that_was_reached_is_not_aborted() {
    let (_, mut seen) = play(new(sweep(&[1], 1)), |_| End::P95(1_000));
    seen.experiment.status.as_mut().unwrap().phase = Phase::Running;
    seen.experiment.spec.abort = true;
    assert_eq!(decide(&seen).status.phase, Phase::Succeeded);
}

fn annotated(mut seen: Observation, value: &str) -> Observation {
    seen.experiment.annotations_mut().insert(RERUN_ANNOTATION.into(), value.into());
    seen
}

#[test]
fn a_new_value_of_the_annotation_begins_a_new_round_and_deletes_the_tests_of_the_last() {
    let (_, seen) = play(new(sweep(&[1, 2], 1)), |_| End::P95(1_000));
    let (names, seen) = play(annotated(seen, "again"), |_| End::P95(2_000));
    assert_eq!(names, ["sweep-2-01-1", "sweep-2-02-1"]);
    assert!(seen.tests.iter().all(|test| test.name_any().starts_with("sweep-2-")), "the first round's are deleted");
    assert_eq!((seen.written().round, seen.written().rerun.as_deref()), (2, Some("again")));
    let (names, seen) = play(annotated(seen, "again"), |_| End::Missed);
    assert!(names.is_empty(), "the same value is no new one");
    let (names, _) = play(annotated(seen, "once more"), |_| End::P95(1_000));
    assert_eq!(names.first().map(String::as_str), Some("sweep-3-01-1"));
}

#[test]
fn an_experiment_that_runs_can_be_begun_again() {
    let seen = begun(sweep(&[1, 2], 1));
    let seen = annotated(seen.clone().after(&decide(&seen)), "now");
    let again = decide(&seen);
    assert_eq!(again.delete.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["sweep-1-01-1"]);
    assert_eq!(decide(&seen.after(&again)).create.unwrap().name_any(), "sweep-2-01-1");
}

#[test]
fn a_load_test_that_is_refused_ends_the_experiment() {
    let seen = begun(sweep(&[1], 1));
    let decision = refused(&seen, decide(&seen), "could not create LoadTest sweep-1-01-1: exceeded quota");
    assert_eq!((decision.create.is_none(), decision.status.phase), (true, Phase::Failed));
    assert_eq!(find(&decision.status.conditions, types::FINISHED).unwrap().status, "True");
    assert!(decision.status.message.unwrap().ends_with("exceeded quota"));
}

#[test]
fn an_experiment_that_is_being_deleted_makes_nothing() {
    let mut seen = new(sweep(&[1], 1));
    seen.experiment.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(seen.now));
    let decision = decide(&seen);
    assert!(decision.create.is_none() && decision.announcements.is_empty());
}

#[test]
fn a_test_whose_pipeline_changed_is_made_again_after_the_cool_down() {
    let seen = begun(sweep(&[1, 2], 1));
    let seen = seen.clone().after(&decide(&seen)).later(20).with_end("sweep-1-01-1", &End::Invalid("PipelineChanged"));
    let cooling = decide(&seen);
    assert_eq!((cooling.create.is_none(), cooling.status.phase, cooling.status.done), (true, Phase::CoolingDown, 0));
    assert_eq!(cooling.status.points[0].runs[0].load_test, "sweep-1-01-1-r1");
    assert_eq!(cooling.announcements[0].reason, reasons::TEST_REPEATED);
    let killed = decide(&seen.clone().later(5));
    assert_eq!(killed.create.as_ref().unwrap().name_any(), "sweep-1-01-1-r1", "the status was not written");
    let seen = seen.after(&cooling).later(5);
    let again = decide(&seen);
    assert_eq!(again.create, killed.create);
    assert!(again.announcements.is_empty(), "{:?}", again.announcements);
    let seen = seen.after(&again).with_end("sweep-1-01-1-r1", &End::P95(1_000)).later(5);
    let next = decide(&seen);
    assert_eq!((next.create.unwrap().name_any().as_str(), next.status.done), ("sweep-1-02-1", 1));
    assert_eq!(next.status.points[0].runs[0].repeated[0].load_test, "sweep-1-01-1");
}

#[test]
fn a_test_that_is_too_old_is_deleted_and_not_made_again() {
    let mut experiment = sweep(&[1, 2, 3], 1);
    experiment.spec.successful_tests_history_limit = 1;
    let (names, seen) = play(new(experiment), |_| End::P95(1_000));
    assert_eq!(names.len(), 3);
    assert_eq!(succeeded(&seen), ("True", "Completed", "3 of 3 LoadTests succeeded"));
    let seen = seen.clone().after(&decide(&seen));
    assert_eq!(seen.tests.iter().map(|test| test.name_any()).collect::<Vec<_>>(), ["sweep-1-03-1"]);
    let quiet = decide(&seen);
    assert!(quiet.create.is_none() && quiet.history.tests.is_empty());
    assert_eq!(quiet.status.points.iter().filter(|point| point.latency_micros.is_some()).count(), 3);
}
