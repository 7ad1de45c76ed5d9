//! The classifier between a genuine Kafka's topics.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

mod support;

use std::{collections::BTreeMap, thread, time::Duration};

use image::ImageFormat;
use rdkafka::{
    Message,
    message::{Headers, OwnedMessage},
};
use support::{Pipeline, Worker, eventually, image_file, raw_pixels, sample};
use tailrace_wire::{Answer, AnswerEvent, JPEG, Label, PNG, RAW, UNKNOWN_SOURCE};

const SOON: Duration = Duration::from_secs(40);
/// Kafka notices a member that was killed after ten seconds.
const AFTER_A_KILL: Duration = Duration::from_secs(90);

fn label(event: &AnswerEvent) -> &Label {
    match &event.answer {
        Answer::Label(label) => label,
        Answer::Failed { error } => panic!("{} was not classified: {error}", event.subject),
    }
}

fn header(record: &OwnedMessage, name: &str) -> Option<String> {
    let value = record.headers()?.iter().find(|header| header.key == name)?.value?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn repeated<T>(answers: &BTreeMap<String, Vec<T>>) -> usize {
    answers.values().filter(|answers| answers.len() > 1).count()
}

/// Waits until the classifier has answered so many.
fn answered(classifier: &Worker, count: f64) {
    eventually("answers", SOON, || (classifier.metric("tailrace_inference_answers_total") >= count).then_some(()));
}

#[test]
fn an_image_goes_through_and_its_label_comes_back_on_the_asked_partition() {
    let pipeline = Pipeline::new("asked", 4);
    let mut classifier = pipeline.start_classifier();
    classifier.wait_until_ready();
    let asked: Vec<_> =
        (0..4).map(|id| (pipeline.send_image(id, &sample(id), PNG, Some(id as i32)), id as i32)).collect();

    let answers = pipeline.read_answers(4, SOON);
    for (subject, partition) in asked {
        let (found, event) = &answers[&subject][0];
        assert_eq!(*found, partition, "{subject} is answered on another partition");
        assert_eq!((label(event).model.as_str(), label(event).model_sha256.len()), ("resnet20", 64));
        assert!((0.1..=1.0).contains(&label(event).confidence), "{event:?}");
        assert!(event.compute_micros > 0 && event.compute_micros < 1_000_000, "{event:?}");
        assert!(event.queue_micros < 1_000_000, "{event:?}");
        assert_eq!(event.source, "asked-inference");
    }
}

#[test]
fn raw_jpeg_and_png_images_are_understood() {
    let pipeline = Pipeline::new("formats", 1);
    let (ship, _classifier) = (sample(1), pipeline.start_classifier());
    let png = pipeline.send_image(0, &ship, PNG, None);
    let raw = pipeline.send_image(1, &raw_pixels(&ship), RAW, None);
    let file = image_file(&ship, ImageFormat::Jpeg);
    let jpeg = pipeline.send_image(2, &file, JPEG, None);
    let called =
        [(3, "image/png"), (4, RAW), (5, "image/jpg")].map(|(id, name)| pipeline.send_image(id, &file, name, None));
    let cut = pipeline.send_image(6, &file[..file.len() * 4 / 5], JPEG, None);

    let answers = pipeline.read_answers(7, SOON);
    for subject in [png, raw, jpeg].into_iter().chain(called) {
        assert_eq!(label(&answers[&subject][0].1).label, "ship", "{subject}");
    }
    let Answer::Failed { error } = &answers[&cut][0].1.answer else { panic!("a label for a part of a picture") };
    assert!(error.contains("it was cut"), "{error}");
}

#[test]
fn a_camera_without_headers_and_one_with_an_impossible_wish_are_answered_by_key() {
    let pipeline = Pipeline::new("cameras", 2);
    let _classifier = pipeline.start_classifier();
    pipeline.send(&pipeline.images(), &sample(0), None);
    let impossible = pipeline.send_image(0, &sample(1), PNG, Some(999));

    let answers = pipeline.read_answers(2, SOON);
    assert_eq!(label(&answers[&impossible][0].1).label, "ship");
    let (subject, events) = answers.iter().find(|(subject, _)| **subject != impossible).unwrap();
    assert!(subject.starts_with(&format!("{UNKNOWN_SOURCE}/cameras-images-")), "{subject}");
    assert_eq!(label(&events[0].1).label, "cat");
}

#[test]
fn undecodable_bytes_are_counted_logged_once_kept_and_answered_and_stop_nothing() {
    let pipeline = Pipeline::new("undecodable", 1);
    let mut classifier = pipeline.start_classifier();
    classifier.wait_until_ready();
    let before = pipeline.send_image(0, &sample(0), PNG, None);
    let broken = pipeline.send_image(1, b"no picture at all", PNG, Some(0));
    let after = pipeline.send_image(2, &sample(0), PNG, None);

    let answers = pipeline.read_answers(3, SOON);
    assert_eq!(label(&answers[&before][0].1).label, label(&answers[&after][0].1).label);
    let Answer::Failed { error } = &answers[&broken][0].1.answer else { panic!("a label for no picture") };
    assert!(error.starts_with("the bytes are not a readable image/png"), "{error}");

    let letters = pipeline.read(&pipeline.dead_letters(), SOON, |letters| !letters.is_empty());
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].payload(), Some(&b"no picture at all"[..]));
    assert_eq!(header(&letters[0], "ce_id").as_deref(), Some("1"));
    assert_eq!(header(&letters[0], "tailrace_error").as_ref(), Some(error));
    assert_eq!(header(&letters[0], "tailrace_origin").as_deref(), Some("undecodable-images/0/1"));

    let lines = classifier.process.log().lines().filter(|line| line.contains("undecodable-images/0/1")).count();
    assert_eq!(lines, 1, "{}", classifier.process.log());
    let count = |outcome| classifier.metric(&format!("tailrace_inference_images_total{{outcome=\"{outcome}\"}}"));
    assert_eq!((count("Undecodable"), count("Classified")), (1.0, 2.0));
}

/// What a broker takes if nobody told it otherwise, batch and all.
const MOST_BYTES: usize = 1_048_588;

fn letters(worker: &Worker, kept: &str) -> f64 {
    worker.metric(&format!("tailrace_dead_letters_total{{kept=\"{kept}\"}}"))
}

#[test]
fn a_dead_letter_is_as_large_as_its_record_and_a_stub_only_where_the_topic_takes_no_more() {
    let pipeline = Pipeline::new("large", 1);
    let mut classifier = pipeline.start_classifier();
    classifier.wait_until_ready();
    // The second one has room for itself, and not for the reason as well.
    let large = pipeline.send_image(0, &vec![7; 1_040_000], PNG, None);
    pipeline.send(&pipeline.images(), &vec![7; MOST_BYTES - 61 - 30], None);
    let after = pipeline.send_image(2, &sample(0), PNG, None);

    let answers = pipeline.read_answers(3, SOON);
    assert!(matches!(answers[&large][0].1.answer, Answer::Failed { .. }));
    assert_eq!(label(&answers[&after][0].1).label, "cat");
    let kept = pipeline.read(&pipeline.dead_letters(), SOON, |letters| letters.len() >= 2);
    let of = |offset: i32| {
        let origin = format!("large-images/0/{offset}");
        kept.iter().find(|letter| header(letter, "tailrace_origin").as_ref() == Some(&origin)).unwrap()
    };
    assert_eq!(of(0).payload().map(<[u8]>::len), Some(1_040_000));
    assert_eq!((header(of(0), "ce_id").as_deref(), header(of(0), "tailrace_bytes")), (Some("0"), None));
    assert_eq!(of(1).payload().unwrap_or_default(), b"");
    assert_eq!(header(of(1), "tailrace_bytes"), Some((MOST_BYTES - 61 - 30).to_string()));
    assert!(header(of(1), "tailrace_error").unwrap().starts_with("a raw image has 3072 bytes"));
    assert_eq!((letters(&classifier, "Whole"), letters(&classifier, "Stub")), (1.0, 1.0));
    assert!(classifier.process.log().contains("raise max.message.bytes of the topic"), "{}", classifier.process.log());
}

#[test]
fn a_dead_letter_topic_that_takes_little_or_nothing_holds_up_no_image() {
    let pipeline = Pipeline::new("little", 1);
    let topic = pipeline.dead_letters();
    let mut classifier = pipeline.start_classifier();
    classifier.wait_until_ready();
    pipeline.configure(&topic, "max.message.bytes", "2000");
    // Many small ones, which would be too large together, and large ones between them.
    for id in 0..40 {
        pipeline.send_image(id, &vec![7; if id % 4 == 0 { 5_000 } else { 500 }], PNG, None);
    }
    let after = pipeline.send_image(99, &sample(0), PNG, None);
    assert_eq!(label(&pipeline.read_answers(41, SOON)[&after][0].1).label, "cat");
    eventually("all are kept", SOON, || (letters(&classifier, "Whole") == 30.0).then_some(()));
    eventually("all are kept", SOON, || (letters(&classifier, "Stub") == 10.0).then_some(()));
    let kept = pipeline.read(&topic, SOON, |letters| letters.len() >= 40);
    let stubs = kept.iter().filter(|letter| header(letter, "tailrace_bytes").as_deref() == Some("5000")).count();
    assert_eq!((kept.len(), stubs), (40, 10));

    pipeline.configure(&topic, "max.message.bytes", "10");
    pipeline.send_image(100, &[7; 5_000], PNG, None);
    eventually("it is counted", SOON, || (letters(&classifier, "Nothing") == 1.0).then_some(()));
    assert_eq!(classifier.process.terminate(Duration::from_secs(12)).code(), Some(0), "{}", classifier.process.log());
}

#[test]
fn a_classifier_killed_in_the_middle_of_its_work_loses_no_image() {
    const IMAGES: usize = 2_000;
    let pipeline = Pipeline::new("killed", 3);
    pipeline.send_images(IMAGES);
    let mut first = pipeline.start_classifier();
    answered(&first, 100.0);
    first.process.kill();
    let some = pipeline.read(&pipeline.answers(), SOON, |answers| !answers.is_empty()).len();
    assert!(some < IMAGES, "it was not killed in the middle of its work");

    let _second = pipeline.start_classifier();
    let answers = pipeline.read_answers(IMAGES, AFTER_A_KILL);
    assert_eq!(answers.len(), IMAGES);
    println!("{some} answers before it was killed, {} images answered again", repeated(&answers));
}

#[test]
fn a_classifier_asked_to_stop_answers_what_it_took_and_nothing_twice() {
    const IMAGES: usize = 1_500;
    let pipeline = Pipeline::new("stopped", 3);
    pipeline.send_images(IMAGES);
    let mut first = pipeline.start_classifier();
    answered(&first, 100.0);
    let status = first.process.terminate(Duration::from_secs(12));
    assert_eq!(status.code(), Some(0), "{}", first.process.log());

    let mut second = pipeline.start_classifier();
    let answers = pipeline.read_answers(IMAGES, SOON);
    assert_eq!((answers.len(), repeated(&answers)), (IMAGES, 0));
    assert_eq!(second.process.terminate(Duration::from_secs(12)).code(), Some(0));
}

#[test]
fn a_second_classifier_takes_its_share_and_nothing_is_lost_or_repeated() {
    const IMAGES: usize = 1_500;
    let pipeline = Pipeline::new("shared", 4);
    let mut first = pipeline.start_classifier();
    first.wait_until_ready();
    let sending = thread::scope(|scope| {
        scope.spawn(|| {
            for id in 0..IMAGES {
                pipeline.send_image(id, &sample(id % 10), PNG, None);
                thread::sleep(Duration::from_millis(3));
            }
        });
        answered(&first, 100.0);
        pipeline.start_classifier()
    });
    let answers = pipeline.read_answers(IMAGES, SOON);
    assert_eq!((answers.len(), repeated(&answers)), (IMAGES, 0));
    let second = sending.metric("tailrace_inference_answers_total");
    assert!(second > 100.0, "the second classifier answered only {second} images");
}
