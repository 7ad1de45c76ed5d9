//! The check of a Pipeline that has other things to do, or shares its topics.

use crate::support::{Pipeline, Worker};

#[test]
fn a_check_behind_a_backlog_says_how_many_images_are_ahead_and_passes() {
    let pipeline = Pipeline::new("behind", 1);
    pipeline.send_images(8_000);
    let _classifier = pipeline.start_classifier();
    let group = format!("--inference-group={}", pipeline.inference_group());
    let ended = Worker::run(&[pipeline.check("20s"), vec![group]].concat(), &[]);
    println!("{}", ended.output);
    assert!(ended.status.success(), "{}", ended.output);
    assert!(ended.output.contains(" images are ahead of it"), "{}", ended.output);
}

#[test]
fn a_check_that_is_over_before_its_image_is_reached_says_how_many_are_ahead() {
    let pipeline = Pipeline::new("far-behind", 1);
    let mut classifier = pipeline.start_classifier();
    classifier.wait_until_ready();
    pipeline.send_images(1);
    pipeline.read_answers(1, crate::SOON);
    classifier.process.kill();
    pipeline.send_images(50);
    let group = format!("--inference-group={}", pipeline.inference_group());
    let ended = Worker::run(&[pipeline.check("5s"), vec![group]].concat(), &[]);
    assert!(!ended.status.success());
    assert!(ended.output.contains("50 images are ahead of it"), "{}", ended.output);
}

#[test]
fn another_pipelines_answer_does_not_pass_a_check() {
    let pipeline = Pipeline::new("strange", 1);
    let mut stranger = pipeline.start_classifier_with(&["--pipeline-uid=stranger"]);
    stranger.wait_until_ready();
    let own = || vec!["--pipeline-uid=own".to_owned()];
    let ended = Worker::run(&[pipeline.check("5s"), own()].concat(), &[]);
    assert!(ended.output.contains("no answer came"), "{}", ended.output);
    let _classifier = pipeline.start_classifier_with(&["--pipeline-uid=own", "--group=strange-own"]);
    let ended = Worker::run(&[pipeline.check("40s"), own()].concat(), &[]);
    assert!(ended.status.success(), "{}", ended.output);
}
