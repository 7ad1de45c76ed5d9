//! The next image when an answer has come.

use std::{collections::BTreeSet, time::Duration};

use rdkafka::admin::{NewTopic, TopicReplication};

use crate::{
    echo::{Behaviour, Echo, Reply},
    measured::Measured,
    support::Pipeline,
};

const ANSWERED: Behaviour =
    Behaviour { delay: |_| Duration::from_millis(20), stall: None, replies: |_| vec![Reply::Right] };

#[test]
fn the_next_image_is_sent_when_the_answer_has_come() {
    let pipeline = Pipeline::new("closed", 3);
    let echo = Echo::start(&pipeline, ANSWERED);
    let measured = Measured::run(&pipeline, "--load closed --warmup 500ms --duration 2s --index 1 --producers 2");

    let scheduled = measured.count("scheduled");
    assert!((20..=100).contains(&scheduled), "{scheduled} images of 20 ms or more in 2 s");
    assert_eq!((measured.count("sent"), measured.count("received"), measured.count("lost")), (scheduled, scheduled, 0));
    assert!((20.0..60.0).contains(&measured.latency("p50").unwrap()), "{:?}", measured.latency("p50"));
    assert!(measured.latency("min").unwrap() >= 20.0);
    assert!(measured.send_delay("p50") < 1.0, "the next image leaves at once");
    assert_eq!(measured.accuracy(), Some(100.0));
    assert_eq!(measured.invalid(), None);

    let seen = echo.seen();
    assert!(seen.iter().all(|image| image.waiting == 1), "never two images at a time");
    assert!((1..=25).contains(&measured.warmup("scheduled")));
    assert_eq!(seen.len() as u64, scheduled + measured.warmup("scheduled"), "every image sent is counted");
    let numbers: Vec<u64> = seen.iter().map(|image| image.number).collect();
    assert_eq!(numbers, (0..seen.len() as u64).collect::<Vec<_>>());
    let partitions: BTreeSet<i32> = seen.iter().map(|image| image.partition).collect();
    assert_eq!(partitions.len(), 3, "images go round over all partitions");
}

#[test]
fn so_many_images_are_outstanding_and_no_more() {
    let pipeline = Pipeline::new("closed-outstanding", 3);
    let echo = Echo::start(&pipeline, ANSWERED);
    let measured = Measured::run(&pipeline, "--load closed --outstanding 4 --warmup 0s --duration 2s");
    let scheduled = measured.count("scheduled");
    assert!((80..=400).contains(&scheduled), "{scheduled} images of 20 ms or more in 2 s, four at a time");
    assert_eq!((measured.count("received"), measured.invalid()), (scheduled, None));
    assert_eq!(echo.seen().iter().map(|image| image.waiting).max(), Some(4));
}

#[test]
fn an_image_follows_its_answer_after_the_think_time_and_not_late() {
    let pipeline = Pipeline::new("closed-think", 1);
    let _echo = Echo::start(&pipeline, ANSWERED);
    for outstanding in [1, 3] {
        let flags = "--load closed --think-time 105ms --warmup 0s --duration 2s";
        let measured = Measured::run(&pipeline, &format!("{flags} --outstanding {outstanding}"));
        let scheduled = measured.count("scheduled");
        assert!(
            (8 * outstanding..=16 * outstanding).contains(&scheduled),
            "{scheduled} rounds of 125 ms or more in 2 s"
        );
        assert!((20.0..60.0).contains(&measured.latency("p50").unwrap()), "thinking is no latency");
        assert!(measured.send_delay("p50") < 1.0);
    }
}

#[test]
fn an_image_without_an_answer_is_lost_after_the_drain_time_and_the_next_is_sent() {
    let pipeline = Pipeline::new("closed-lost", 1);
    let every_tenth_is_lost = |number| if number % 10 == 9 { vec![] } else { vec![Reply::Right] };
    let echo = Echo::start(&pipeline, Behaviour { replies: every_tenth_is_lost, ..ANSWERED });
    let measured = Measured::run(&pipeline, "--load closed --warmup 0s --duration 4s --drain-timeout 1s");

    let lost = echo.seen().iter().filter(|image| image.number % 10 == 9).count() as u64;
    assert!(lost >= 2, "{lost}");
    assert_eq!(measured.count("lost"), lost);
    assert_eq!(measured.count("scheduled"), echo.seen().len() as u64);
    assert_eq!(measured.count("received"), measured.count("scheduled") - lost);
    assert_eq!(measured.latency("max"), None, "a lost image has no finite latency");
    assert!(measured.latency("p50").unwrap() >= 20.0);
}

#[test]
fn a_failed_send_frees_its_place_at_once() {
    let pipeline = Pipeline::without_topics("closed-refused");
    let images = pipeline.images();
    let small = NewTopic::new(&images, 1, TopicReplication::Fixed(1)).set("max.message.bytes", "2800");
    pipeline.administrate(async |admin, options| admin.create_topics([&small], options).await.unwrap());
    pipeline.create(1);
    let echo = Echo::start(&pipeline, ANSWERED);
    // Every image has 3072 bytes, so Kafka takes none of them.
    let flags = "--load closed --outstanding 4 --encoding raw --warmup 0s --duration 2s --drain-timeout 20s";
    let measured = Measured::run(&pipeline, flags);
    let scheduled = measured.count("scheduled");
    assert!((40..=800).contains(&scheduled), "{scheduled} images, four each hundredth of a second at most");
    assert_eq!((measured.count("sendErrors"), measured.count("lost")), (scheduled, 0));
    assert!(echo.seen().is_empty());
    assert!(measured.invalid().is_some_and(|why| why.contains("could not be sent")), "{:?}", measured.invalid());
}
