//! When something is missing or goes away.

use std::time::{Duration, Instant};

use crate::{
    echo::{Behaviour, Echo, Reply},
    measured::{Measured, command_line, dataset},
    support::{Pipeline, Worker, eventually, sample},
};

const ANSWERED: Behaviour =
    Behaviour { delay: |_| Duration::from_millis(20), stall: None, replies: |_| vec![Reply::Right] };

/// How it ends when it cannot become ready.
fn fails(pipeline: &Pipeline, flags: &str) -> String {
    let dataset = dataset();
    let ended = Worker::run(&command_line(pipeline, dataset.path(), flags), &[]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    ended.output
}

#[test]
fn without_its_topics_it_says_how_to_make_them() {
    let pipeline = Pipeline::without_topics("no-topics");
    let output = fails(&pipeline, "--rate 1 --ready-timeout 1s");
    assert!(output.contains("no topic no-topics-images") && output.contains("tailrace-worker topics"), "{output}");
}

#[test]
fn without_its_images_it_names_the_folder_that_is_wanted() {
    let pipeline = Pipeline::new("no-dataset", 1);
    let ended = Worker::run(&command_line(&pipeline, "/nowhere".as_ref(), "--rate 1"), &[]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.output.contains("/nowhere") && ended.output.contains("--dataset"), "{}", ended.output);
}

#[test]
fn it_is_not_ready_before_the_classifier_has_caught_up() {
    let pipeline = Pipeline::new("behind", 2);
    (0..3).for_each(|id| drop(pipeline.send_image(id, &sample(0), "image/png", None)));
    pipeline.flush();
    let output = fails(&pipeline, "--rate 1 --ready-timeout 2s --group-to-watch behind-inference");
    assert!(output.contains("behind-inference is still 3 images behind on behind-images (partition "), "{output}");
    assert!(output.contains(": offset 0 of "), "{output}");

    let mut classifier = pipeline.start_classifier();
    classifier.wait_until_ready();
    let flags = "--rate 20 --warmup 0s --duration 1s --ready-timeout 20s --group-to-watch behind-inference";
    assert_eq!(Measured::run(&pipeline, flags).count("received"), 20);
}

#[test]
fn asked_to_stop_it_stops_sending_and_says_that_it_did_not_finish() {
    let pipeline = Pipeline::new("stopped", 1);
    let echo = Echo::start(&pipeline, ANSWERED);
    let dataset = dataset();
    let mut producer = Worker::start(&command_line(&pipeline, dataset.path(), "--rate 50 --duration 60s"), &[]);
    eventually("images", Duration::from_secs(20), || (echo.seen().len() > 20).then_some(()));

    let ended = producer.process.terminate(Duration::from_secs(5));
    let sent = echo.seen().len();
    assert_eq!(ended.code(), Some(1));
    assert!(producer.process.log().contains("asked to stop before the end of its run"), "{}", producer.process.log());
    std::thread::sleep(Duration::from_millis(500));
    assert!(echo.seen().len() <= sent + 5, "nothing is sent any more");
}

#[test]
fn nobody_answers_and_the_run_ends_all_the_same() {
    let pipeline = Pipeline::new("nobody", 1);
    let begun = Instant::now();
    let measured = Measured::run(&pipeline, "--rate 20 --warmup 0s --duration 1s --drain-timeout 1s");
    assert_eq!((measured.count("sent"), measured.count("lost")), (20, 20));
    assert!(measured.invalid().unwrap().contains("no image was answered"), "{:?}", measured.invalid());
    assert!(begun.elapsed() < Duration::from_secs(20));
}
