//! A server that is killed, away, busy or broken, and a bridge that is asked to stop.

use std::{thread, time::Duration};

use rdkafka::Message;
use tailrace_wire::{Answer, PNG};

use crate::{
    SOON, answered, count,
    proxy::{Fault, POISON, Proxy},
    repeated,
    support::{Pipeline, Worker, eventually, free_port, sample},
};

#[test]
fn a_server_killed_in_the_middle_of_its_work_loses_no_image() {
    const IMAGES: usize = 2_000;
    let pipeline = Pipeline::new("server-killed", 3);
    let mut server = Worker::start_server(&[]);
    let mut bridge = pipeline.start_bridge(server.port(), &[]);
    pipeline.send_images(IMAGES);
    answered(&bridge, 100.0);
    server.process.kill();
    eventually("the breaker is open", SOON, || (count(&bridge, "breaker_open") == 1.0).then_some(()));
    let some = count(&bridge, "answers_total");
    assert!(some < IMAGES as f64, "it was not killed in the middle of its work");
    thread::sleep(Duration::from_secs(2));
    assert!(bridge.is_ready(), "the bridge keeps its partitions");

    let _server = Worker::start_server_at(server.port(), &[]);
    let answers = pipeline.read_answers(IMAGES, SOON);
    assert_eq!((answers.len(), repeated(&answers)), (IMAGES, 0), "{}", bridge.process.log());
    assert!(answers.values().all(|answers| matches!(answers[0].1.answer, Answer::Label(_))));
    assert_eq!(count(&bridge, "breaker_open"), 0.0);
    let log = bridge.process.log();
    assert!(log.contains("no image goes to the inference server until it is ready"), "{log}");
    assert!(log.contains("the inference server is ready after"), "{log}");
    assert!(log.lines().count() < 30, "{log}");
    assert_eq!(bridge.process.terminate(Duration::from_secs(12)).code(), Some(0));
}

/// More images than the bridge takes: it stops taking them, and goes on where it was.
#[test]
fn images_wait_for_a_server_that_comes_later() {
    const IMAGES: usize = 1_000;
    let (pipeline, port) = (Pipeline::new("later", 3), free_port());
    let mut bridge = pipeline.start_bridge(port, &["--concurrency=2"]);
    pipeline.send_images(IMAGES);
    bridge.wait_until_ready();
    eventually("the breaker is open", SOON, || (count(&bridge, "breaker_open") == 1.0).then_some(()));
    thread::sleep(Duration::from_secs(3));
    let _server = Worker::start_server_at(port, &[]);
    let answers = pipeline.read_answers(IMAGES, SOON);
    assert_eq!((answers.len(), repeated(&answers)), (IMAGES, 0), "{}", bridge.process.log());
}

/// The partition's images are nobody's while the server is away: the second bridge takes its share of them.
#[test]
fn a_second_bridge_joins_while_the_server_is_away() {
    const IMAGES: usize = 1_000;
    let (pipeline, port) = (Pipeline::new("joining", 4), free_port());
    let mut first = pipeline.start_bridge(port, &[]);
    pipeline.send_images(IMAGES);
    first.wait_until_ready();
    eventually("the breaker is open", SOON, || (count(&first, "breaker_open") == 1.0).then_some(()));
    let mut second = pipeline.start_bridge(port, &[]);
    second.wait_until_ready();
    let _server = Worker::start_server_at(port, &[]);
    let answers = pipeline.read_answers(IMAGES, SOON);
    assert_eq!(answers.len(), IMAGES);
    let shares = [&first, &second].map(|bridge| count(bridge, "answers_total"));
    assert!(shares.iter().all(|share| *share > 100.0), "{shares:?}");
}

#[test]
fn a_bridge_asked_to_stop_answers_what_it_took_and_nothing_twice() {
    const IMAGES: usize = 1_500;
    let pipeline = Pipeline::new("bridge-stopped", 3);
    pipeline.send_images(IMAGES);
    let server = Worker::start_server(&[]);
    let mut first = pipeline.start_bridge(server.port(), &[]);
    answered(&first, 100.0);
    let status = first.process.terminate(Duration::from_secs(12));
    assert_eq!(status.code(), Some(0), "{}", first.process.log());

    let mut second = pipeline.start_bridge(server.port(), &[]);
    let answers = pipeline.read_answers(IMAGES, SOON);
    assert_eq!((answers.len(), repeated(&answers)), (IMAGES, 0));
    assert!(count(&second, "answers_total") > 0.0, "it was not stopped in the middle of its work");
    assert_eq!(second.process.terminate(Duration::from_secs(12)).code(), Some(0));
}

#[test]
fn a_bridge_killed_in_the_middle_of_its_work_loses_no_image() {
    const IMAGES: usize = 1_500;
    let pipeline = Pipeline::new("bridge-killed", 3);
    pipeline.send_images(IMAGES);
    let server = Worker::start_server(&[]);
    let mut first = pipeline.start_bridge(server.port(), &[]);
    answered(&first, 100.0);
    first.process.kill();
    let _second = pipeline.start_bridge(server.port(), &[]);
    assert_eq!(pipeline.read_answers(IMAGES, Duration::from_secs(90)).len(), IMAGES);
}

#[test]
fn a_server_whose_queue_is_full_is_asked_again() {
    const IMAGES: usize = 60;
    let pipeline = Pipeline::new("busy", 1);
    let server = Worker::start_server(&["--max-queue=1", "--max-batch=1"]);
    for id in 0..IMAGES {
        pipeline.send_image(id, &crate::slow_image(), PNG, None);
    }
    let bridge = pipeline.start_bridge(server.port(), &[]);
    let answers = pipeline.read_answers(IMAGES, SOON);
    assert_eq!((answers.len(), repeated(&answers)), (IMAGES, 0));
    assert!(answers.values().all(|answers| matches!(answers[0].1.answer, Answer::Label(_))));
    assert!(count(&bridge, "retries_total{reason=\"Busy\"}") > 0.0);
    assert_eq!(count(&bridge, "breaker_open"), 0.0);
}

/// A file that the network does not let through, among others that it does.
fn poisoned(pipeline: &Pipeline, fault: Fault, last_words: &str) {
    const IMAGES: usize = 200;
    let server = Worker::start_server(&[]);
    let proxy = Proxy::start(server.port(), Some(fault));
    let bridge = pipeline.start_bridge(proxy.port(), &["--request-timeout=500ms"]);
    let poison = [&sample(0), POISON].concat();
    let subject = pipeline.send_image(IMAGES, &poison, PNG, None);
    pipeline.send_images(IMAGES);

    let answers = pipeline.read_answers(IMAGES + 1, SOON);
    assert_eq!(repeated(&answers), 0);
    let failed: Vec<_> =
        answers.values().filter(|answers| matches!(answers[0].1.answer, Answer::Failed { .. })).collect();
    assert_eq!(failed.len(), 1, "others suffer: {}", bridge.process.log());
    let Answer::Failed { error } = &answers[&subject][0].1.answer else { panic!("a label for the poison") };
    assert!(error.starts_with("the inference server has no answer to this image in 5 attempts"), "{error}");
    assert!(error.contains(last_words), "{error}");
    let letters = pipeline.read(&pipeline.dead_letters(), SOON, |letters| !letters.is_empty());
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].payload(), Some(&poison[..]));
}

#[test]
fn an_image_that_breaks_the_connection_is_given_up_and_others_are_not() {
    poisoned(&Pipeline::new("breaking", 1), Fault::Breaks, "it broke off");
}

#[test]
fn an_image_that_is_never_answered_is_given_up_and_others_are_not() {
    poisoned(&Pipeline::new("stalling", 1), Fault::Stalls, "it does not answer within 500ms");
}
