//! A schedule that waits for nobody.

use std::time::Duration;

use tailrace_measure::schedule::Poisson;

use crate::{
    echo::{Behaviour, Echo, Reply},
    measured::Measured,
    support::Pipeline,
};

const ANSWERED: Behaviour =
    Behaviour { delay: |_| Duration::from_millis(20), stall: None, replies: |_| vec![Reply::Right] };

/// Within what a busy machine adds.
fn is_about(found: Option<f64>, expected: f64) {
    let found = found.expect("the percentile is finite");
    assert!(found >= expected - 30.0 && found < expected + 150.0, "{found} ms instead of {expected} ms");
}

#[test]
fn the_schedule_is_kept_exactly() {
    let pipeline = Pipeline::new("open", 2);
    let echo = Echo::start(&pipeline, ANSWERED);
    let measured = Measured::run(&pipeline, "--rate 50 --warmup 500ms --duration 2s");
    assert_eq!((measured.warmup("scheduled"), measured.warmup("received")), (25, 25));
    for count in ["scheduled", "sent", "received"] {
        assert_eq!(measured.count(count), 100, "{count}");
    }
    assert_eq!((measured.count("duplicates"), measured.count("lost"), measured.count("sendErrors")), (0, 0, 0));
    is_about(measured.latency("p50"), 21.0);
    assert!(measured.latency("min").unwrap() >= 20.0, "the stand-in takes 20 ms");
    assert!(measured.send_delay("p50") < 1.0);
    assert_eq!(echo.seen().len(), 125, "no image is sent that is not counted");
}

#[test]
fn a_random_schedule_is_kept_as_exactly_and_follows_from_the_seed() {
    let pipeline = Pipeline::new("open-poisson", 2);
    let echo = Echo::start(&pipeline, ANSWERED);
    let (warmup, end) = (Duration::from_millis(500), Duration::from_secs(3));
    let schedule: Vec<_> = Poisson::new(50, 2, 1, 7).unwrap().offsets_before(end).collect();
    let measured_from = schedule.partition_point(|offset| *offset < warmup);

    let flags = "--rate 50 --arrivals poisson --seed 7 --producers 2 --index 1";
    let measured = Measured::run(&pipeline, &format!("{flags} --warmup 500ms --duration 2500ms"));
    assert_eq!(measured.warmup("scheduled"), measured_from as u64);
    for count in ["scheduled", "sent", "received"] {
        assert_eq!(measured.count(count), (schedule.len() - measured_from) as u64, "{count}");
    }
    assert!(measured.send_delay("p50") < 1.0);
    assert_eq!(measured.invalid(), None, "the schedule is its own target");
    assert_eq!(echo.seen().len(), schedule.len());
}

#[test]
fn lost_images_are_infinitely_late() {
    let pipeline = Pipeline::new("open-lost", 1);
    let every_tenth_is_lost = |number| if number % 10 == 9 { vec![] } else { vec![Reply::Right] };
    let _echo = Echo::start(&pipeline, Behaviour { replies: every_tenth_is_lost, ..ANSWERED });
    let measured = Measured::run(&pipeline, "--rate 50 --warmup 0s --duration 2s --drain-timeout 1s");
    assert_eq!((measured.count("scheduled"), measured.count("sent")), (100, 100));
    assert_eq!((measured.count("received"), measured.count("lost")), (90, 10));
    assert!(measured.latency("p90").is_some(), "rank 90 of 100 was answered");
    assert_eq!((measured.latency("p95"), measured.latency("max")), (None, None), "rank 95 of 100 was not");
    assert_eq!(measured.invalid(), None, "losses are a result");
}

#[test]
fn what_is_answered_after_the_end_is_drained_and_the_backlog_of_the_end_is_known() {
    let pipeline = Pipeline::new("open-behind", 1);
    let _echo = Echo::start(&pipeline, Behaviour { delay: |_| Duration::from_millis(1_500), ..ANSWERED });
    let measured = Measured::run(&pipeline, "--rate 50 --warmup 0s --duration 2s");
    assert_eq!((measured.count("scheduled"), measured.count("received")), (100, 100));
    let drained = measured.count("drained");
    assert!((75..=100).contains(&drained), "{drained} were due in the last 1.5 s");
    assert_eq!(measured.backlog("images"), drained, "all of them had been sent by the end");
    let catch_up = measured.backlog("catchUpMicros");
    assert!(catch_up > 1_400_000, "the last of them was due 20 ms before the end: {catch_up}");
}

#[test]
fn further_answers_are_counted_apart() {
    let pipeline = Pipeline::new("open-twice", 1);
    let twice = |_| vec![Reply::Right, Reply::Right];
    let _echo = Echo::start(&pipeline, Behaviour { replies: twice, ..ANSWERED });
    let measured = Measured::run(&pipeline, "--rate 50 --warmup 0s --duration 2s");
    assert_eq!((measured.count("received"), measured.count("lost")), (100, 0));
    // The last one may come after the end.
    assert!((99..=100).contains(&measured.count("duplicates")), "{}", measured.count("duplicates"));
}

#[test]
fn wrong_labels_and_errors_are_told_apart() {
    let pipeline = Pipeline::new("open-wrong", 1);
    let replies = |number| match number % 10 {
        0 | 1 => vec![Reply::Error],
        2 | 3 => vec![Reply::Wrong],
        _ => vec![Reply::Right],
    };
    let _echo = Echo::start(&pipeline, Behaviour { replies, ..ANSWERED });
    let measured = Measured::run(&pipeline, "--rate 50 --warmup 0s --duration 2s");
    assert_eq!((measured.count("received"), measured.count("answerErrors")), (100, 20));
    assert_eq!(measured.accuracy(), Some(75.0), "60 of 80 labels");
    assert!(measured.latency("p50").is_some());
    assert_eq!(measured.latency("p90"), None, "an error has no finite latency");
}

#[test]
fn producers_that_share_a_partition_count_only_their_own_answers() {
    let pipeline = Pipeline::new("open-shared", 1);
    let echo = Echo::start(&pipeline, ANSWERED);
    let run =
        |index| Measured::run(&pipeline, &format!("--rate 25 --warmup 0s --duration 2s --producers 2 --index {index}"));
    let measured = std::thread::scope(|scope| {
        let both = [0, 1].map(|index| scope.spawn(move || run(index)));
        both.map(|producer| producer.join().unwrap())
    });
    for producer in measured {
        assert_eq!((producer.count("scheduled"), producer.count("received")), (50, 50));
        assert_eq!(producer.count("duplicates"), 0);
    }
    assert_eq!(echo.seen().len(), 100);
}
