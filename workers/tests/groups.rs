//! Groups by the consumer protocol (KIP-848) and, where the broker has no other, by the classic one: the same promises.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

mod support;

use std::{collections::BTreeMap, thread, time::Duration};

use mongodb::bson::doc;
use support::{Broker, Database, Pipeline, Worker, eventually, sample};
use tailrace_wire::PNG;

const SOON: Duration = Duration::from_secs(60);
/// Kafka notices a member that was killed after ten seconds.
const AFTER_A_KILL: Duration = Duration::from_secs(90);
const CONSUMER: &str = "by the consumer protocol (KIP-848)";
const CLASSIC: &str = "by the classic one";

fn repeated<T>(answers: &BTreeMap<String, Vec<T>>) -> usize {
    answers.values().filter(|answers| answers.len() > 1).count()
}

fn answered(classifier: &Worker, count: f64) {
    eventually("answers", SOON, || (classifier.metric("tailrace_inference_answers_total") >= count).then_some(()));
}

/// Sends images one after the other while `meanwhile` happens; how many.
fn send_meanwhile(pipeline: &Pipeline, meanwhile: impl FnOnce()) -> usize {
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            let mut sent = 0;
            while is_done.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty) {
                pipeline.send_image(sent, &sample(sent % 10), PNG, None);
                sent += 1;
                thread::sleep(Duration::from_millis(3));
            }
            sent
        });
        meanwhile();
        drop(done);
        sending.join().unwrap()
    })
}

/// Members come and go in good order: nothing is lost, nothing is answered twice.
fn members_come_and_go(pipeline: &Pipeline, protocol: &str) {
    let mut last = None;
    let sent = send_meanwhile(pipeline, || {
        let mut first = pipeline.start_classifier();
        answered(&first, 100.0);
        assert!(first.process.log().contains(protocol), "{}", first.process.log());
        assert!(!first.process.log().contains("ERROR"), "{}", first.process.log());
        let mut second = pipeline.start_classifier();
        answered(&second, 100.0);
        let third = pipeline.start_classifier();
        answered(&third, 100.0);
        assert_eq!(first.process.terminate(Duration::from_secs(12)).code(), Some(0), "{}", first.process.log());
        thread::sleep(Duration::from_secs(1));
        assert_eq!(second.process.terminate(Duration::from_secs(12)).code(), Some(0), "{}", second.process.log());
        thread::sleep(Duration::from_secs(2));
        last = Some(third);
    });
    let answers = pipeline.read_answers(sent, SOON);
    assert_eq!((answers.len(), repeated(&answers)), (sent, 0), "{}", last.unwrap().process.log());
}

/// Members are killed: nothing is lost.
fn members_are_killed(pipeline: &Pipeline) {
    let mut last = None;
    let sent = send_meanwhile(pipeline, || {
        let mut first = pipeline.start_classifier();
        answered(&first, 100.0);
        let second = pipeline.start_classifier();
        answered(&second, 100.0);
        first.process.kill();
        thread::sleep(Duration::from_secs(1));
        last = Some((second, pipeline.start_classifier()));
    });
    let answers = pipeline.read_answers(sent, AFTER_A_KILL);
    assert_eq!(answers.len(), sent);
    println!("{} of {sent} images answered again", repeated(&answers));
}

/// A member that says nothing for longer than a dead one may loses its partitions, and takes its share again later.
fn a_frozen_member_comes_back(pipeline: &Pipeline) {
    let mut members = Vec::new();
    let sent = send_meanwhile(pipeline, || {
        let first = pipeline.start_classifier();
        answered(&first, 100.0);
        let second = pipeline.start_classifier();
        answered(&second, 100.0);
        first.process.signal("STOP");
        thread::sleep(Duration::from_secs(15));
        first.process.signal("CONT");
        let before = first.metric("tailrace_inference_answers_total");
        answered(&first, before + 200.0);
        members = vec![first, second];
    });
    assert_eq!(pipeline.read_answers(sent, AFTER_A_KILL).len(), sent);
    for mut member in members {
        let ended = member.process.terminate(Duration::from_secs(12));
        assert_eq!(ended.code(), Some(0), "{}", member.process.log());
    }
}

/// What is stored while archives come and go is all, and each record once.
fn archives_come_and_go(pipeline: &Pipeline, protocol: &str) {
    let database = Database::start();
    let mut last = None;
    let sent = send_meanwhile(pipeline, || {
        let mut first = pipeline.start_archive("archive", &database);
        eventually("documents", SOON, || database.count("images", doc! {}).filter(|count| *count > 100));
        assert!(first.process.log().contains(protocol), "{}", first.process.log());
        let mut second = pipeline.start_archive("archive", &database);
        second.wait_until_ready();
        thread::sleep(Duration::from_secs(2));
        assert_eq!(first.process.terminate(Duration::from_secs(12)).code(), Some(0), "{}", first.process.log());
        last = Some(second);
    });
    eventually("all documents", SOON, || (database.count("images", doc! {}) == Some(sent as u64)).then_some(()));
    let series = format!("tailrace_archive_records_total{{topic=\"{}\",outcome=\"Duplicate\"}}", pipeline.images());
    assert_eq!(last.unwrap().metric(&series), 0.0, "records were stored twice");
}

#[test]
fn members_come_and_go_by_the_consumer_protocol() {
    members_come_and_go(&Pipeline::new("coming", 6), CONSUMER);
}

#[test]
fn members_come_and_go_by_the_classic_protocol() {
    members_come_and_go(&Pipeline::on(Broker::classic(), "coming", 6), CLASSIC);
}

#[test]
fn members_are_killed_by_the_consumer_protocol() {
    members_are_killed(&Pipeline::new("dying", 6));
}

#[test]
fn members_are_killed_by_the_classic_protocol() {
    members_are_killed(&Pipeline::on(Broker::classic(), "dying", 6));
}

#[test]
fn archives_come_and_go_by_the_consumer_protocol() {
    archives_come_and_go(&Pipeline::new("archiving", 6), CONSUMER);
}

#[test]
fn archives_come_and_go_by_the_classic_protocol() {
    archives_come_and_go(&Pipeline::on(Broker::classic(), "archiving", 6), CLASSIC);
}

fn spare_members_are_ready(pipeline: &Pipeline) {
    let mut classifiers = [pipeline.start_classifier(), pipeline.start_classifier()];
    classifiers.iter_mut().for_each(Worker::wait_until_ready);
    pipeline.send_images(10);
    assert_eq!(pipeline.read_answers(10, SOON).len(), 10);
}

#[test]
fn a_member_without_a_partition_is_ready_to_take_over_by_the_consumer_protocol() {
    spare_members_are_ready(&Pipeline::new("spare", 1));
}

#[test]
fn a_member_without_a_partition_is_ready_to_take_over_by_the_classic_protocol() {
    spare_members_are_ready(&Pipeline::on(Broker::classic(), "spare", 1));
}

#[test]
fn a_frozen_member_comes_back_by_the_consumer_protocol() {
    a_frozen_member_comes_back(&Pipeline::new("frozen", 6));
}

#[test]
fn a_frozen_member_comes_back_by_the_classic_protocol() {
    a_frozen_member_comes_back(&Pipeline::on(Broker::classic(), "frozen", 6));
}
