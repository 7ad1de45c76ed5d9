//! Where a new group begins, and that nothing is skipped from then on.

use tailrace_wire::PNG;

use crate::{
    AFTER_A_KILL, SOON,
    support::{Pipeline, sample},
};

fn answered(pipeline: &Pipeline, count: usize) -> Vec<String> {
    pipeline.read_answers(count, AFTER_A_KILL).into_keys().collect()
}

#[test]
fn a_new_group_that_begins_latest_skips_the_backlog_and_nothing_that_comes_after_it_is_ready() {
    let pipeline = Pipeline::new("latest", 3);
    pipeline.send_images(30);
    let flags = ["--start-from=latest"];
    let mut first = pipeline.start_classifier_with(&flags);
    first.wait_until_ready();
    first.process.kill();
    let mut sent: Vec<_> = (100..110).map(|id| pipeline.send_image(id, &sample(0), PNG, None)).collect();
    pipeline.flush();

    let mut second = pipeline.start_classifier_with(&flags);
    sent.sort();
    assert_eq!(answered(&pipeline, 10), sent, "{}", second.process.log());

    // Partitions that are added later have nothing committed: they are read from their beginning.
    second.wait_until_ready();
    second.process.kill();
    pipeline.create(6);
    (200..230).for_each(|id| sent.push(pipeline.send_image(id, &sample(0), PNG, None)));
    pipeline.flush();
    let third = pipeline.start_classifier_with(&flags);
    sent.sort();
    assert_eq!(answered(&pipeline, 40), sent, "{}", third.process.log());
}

#[test]
fn a_new_group_that_begins_earliest_works_through_the_backlog() {
    let pipeline = Pipeline::new("earliest", 3);
    pipeline.send_images(30);
    let mut first = pipeline.start_classifier_with(&["--start-from=earliest"]);
    first.wait_until_ready();
    first.process.kill();
    let _second = pipeline.start_classifier();
    assert_eq!(pipeline.read_answers(30, SOON.max(AFTER_A_KILL)).len(), 30);
}
