//! Both topologies give the same answers and keep the same dead letters.

use base64::{Engine, engine::general_purpose::STANDARD};
use image::ImageFormat;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::{
    Message,
    message::{Headers, OwnedMessage},
};
use tailrace_wire::{Answer, AnswerEvent, JPEG, PNG, RAW};

use crate::{
    SOON,
    support::{Pipeline, Worker, image_file, raw_pixels, sample},
};

/// A record: its key, its value and its content type.
type Sent = (Option<&'static str>, Vec<u8>, Option<Vec<u8>>);

fn good() -> Vec<Sent> {
    let png = sample(1);
    let files = [
        (image_file(&png, ImageFormat::Jpeg), Some(JPEG)),
        (raw_pixels(&png), Some(RAW)),
        (png.clone(), None),
        (png.clone(), Some("")),
        (png.clone(), Some("Image/PNG ; charset=binary")),
        // What it is said to be does not matter.
        (png.clone(), Some(JPEG)),
        (png.clone(), Some(RAW)),
        (png.clone(), Some("image/x-png")),
        (image_file(&png, ImageFormat::Jpeg), Some("image/pjpeg")),
        (image_file(&png, ImageFormat::Jpeg), Some("image/webp\r\nX-Injected: yes")),
    ];
    let typed = files.map(|(file, content_type)| (None, file, content_type.map(|text| text.as_bytes().to_vec())));
    let structured = |member: &str, file: &[u8]| {
        let file = STANDARD.encode(file);
        let json = format!(
            r#"{{"specversion":"1.0","type":"any","source":"structured","id":"{member}","data_base64":"{file}"}}"#
        );
        (None, json.into_bytes(), Some(b"application/cloudevents+json; charset=UTF-8".to_vec()))
    };
    let structured = [structured("png", &png), structured("raw", &raw_pixels(&png))];
    let long = (None, png, Some(b"x".repeat(100_000)));
    (0..10)
        .map(|number| (Some("camera"), sample(number), Some(PNG.into())))
        .chain(typed)
        .chain(structured)
        .chain([long])
        .collect()
}

fn odd() -> Vec<Sent> {
    let png = sample(0);
    let jpeg = image_file(&png, ImageFormat::Jpeg);
    let mut bomb = png.clone();
    bomb[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let values = [
        (&b""[..], &PNG.as_bytes().to_vec()),
        (b"", &JPEG.into()),
        (b"", &RAW.into()),
        (b"no picture at all", &PNG.into()),
        (&png[..png.len() / 2], &PNG.into()),
        (&jpeg[..jpeg.len() * 4 / 5], &JPEG.into()),
        (&jpeg[..jpeg.len() - 1], &RAW.into()),
        (b"RIFF\x24\0\0\0WEBPVP8 ", &PNG.into()),
        (&bomb, &PNG.into()),
    ];
    let types = [
        &b"image/webp"[..],
        b" image/webp ",
        b"image/webp\r\nX-Injected: yes",
        b"image/\0png",
        b"\xff\xfe",
        "image/\u{e9}\u{1f4f7}".as_bytes(),
        b";",
        b"multipart/form-data",
        b"multipart/form-data; boundary=x",
        b"application/x-www-form-urlencoded",
    ];
    let events = [
        (&b"application/cloudevents+json"[..], &br#"{"specversion":"1.0","source":"structured","id":"none"}"#[..]),
        (b"application/cloudevents+json", b"{"),
        (b"application/cloudevents-batch+json", b"[{}, {}]"),
        (b"application/cloudevents+avro", b"Obj"),
    ];
    let events = events.map(|(content_type, value)| (None, value.to_vec(), Some(content_type.to_vec())));
    let form = b"--x\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nbytes\r\n--x--\r\n";
    let values = values.map(|(value, content_type)| (None, value.to_vec(), Some(content_type.clone())));
    let types = types.map(|content_type| (None, form.to_vec(), Some(content_type.to_vec())));
    values.into_iter().chain(types).chain(events).collect()
}

/// The answers and the dead letters of one topology, in the order of their images.
fn outcome(pipeline: &Pipeline, sent: &[Sent], refused: usize) -> (Vec<AnswerEvent>, Vec<Letter>) {
    for (id, (key, value, content_type)) in sent.iter().enumerate() {
        let (content_type, id) = (content_type.as_deref(), id.to_string());
        let headers = [("ce_source", "camera".as_bytes()), ("ce_id", id.as_bytes())];
        let headers = headers.into_iter().chain(content_type.map(|text| ("content-type", text)));
        let headers =
            headers.fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
        pipeline.send_keyed(&pipeline.images(), *key, value, Some(headers));
    }
    // Without any headers it is named by its place.
    pipeline.send(&pipeline.images(), &sample(0), None);
    let answers = pipeline.read_answers(sent.len() + 1, SOON);
    let letters = pipeline.read(&pipeline.dead_letters(), SOON, |letters| letters.len() >= refused);
    let mut letters: Vec<_> = letters.iter().map(|letter| Letter::of(letter, pipeline.name)).collect();
    letters.sort();
    (answers.into_values().map(|mut answers| named(answers.remove(0).1, pipeline.name)).collect(), letters)
}

/// A dead letter: its key, its value and its headers.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Letter(Option<Vec<u8>>, Vec<u8>, Vec<(String, Vec<u8>)>);

impl Letter {
    fn of(record: &OwnedMessage, name: &str) -> Self {
        let header = |header: Header<'_, &[u8]>| {
            let value = header.value.unwrap_or_default();
            let is_text = str::from_utf8(value).map(|text| text.replace(name, "any").into_bytes());
            (header.key.to_owned(), is_text.unwrap_or(value.to_vec()))
        };
        let headers = record.headers().unwrap().iter().map(header).collect();
        Self(record.key().map(<[u8]>::to_vec), record.payload().unwrap_or_default().to_vec(), headers)
    }
}

/// Without what differs between two runs: the topics' names and the times.
fn named(answer: AnswerEvent, name: &str) -> AnswerEvent {
    let any = |text: &str| text.replace(name, "any");
    AnswerEvent {
        id: any(&answer.id),
        source: any(&answer.source),
        subject: any(&answer.subject),
        time: jiff::Timestamp::UNIX_EPOCH,
        queue_micros: 0,
        compute_micros: 0,
        ..answer
    }
}

#[test]
fn good_and_odd_images_have_the_same_answers_and_dead_letters_in_both_topologies() {
    let (fused, split) = (Pipeline::new("whole", 1), Pipeline::new("parts", 1));
    let _classifier = fused.start_classifier();
    let server = Worker::start_server(&[]);
    let bridge = split.start_bridge(server.port(), &[]);
    let sent = [good(), odd()].concat();

    let (answers, letters) = outcome(&fused, &sent, odd().len());
    let (split_answers, split_letters) = outcome(&split, &sent, odd().len());
    assert_eq!(answers.len(), sent.len() + 1);
    for (fused, split) in answers.iter().zip(&split_answers) {
        assert_eq!(fused, split);
    }
    assert_eq!(split_answers.len(), answers.len());
    assert_eq!(letters, split_letters);
    assert_eq!(letters.len(), odd().len());
    for subject in ["structured/png", "structured/raw", "structured/none"] {
        assert!(answers.iter().any(|event| event.subject == subject), "{subject}");
    }
    let labelled = answers.iter().filter(|event| matches!(event.answer, Answer::Label(_))).count();
    assert_eq!(labelled, good().len() + 1);
    assert_eq!(crate::count(&bridge, "retries_total{reason=\"Broken\"}"), 0.0, "{}", bridge.process.log());
}

#[test]
fn the_answer_carries_the_times_of_both_and_goes_to_the_asked_partition() {
    let pipeline = Pipeline::new("times", 4);
    let server = Worker::start_server(&[]);
    let mut bridge = pipeline.start_bridge(server.port(), &[]);
    bridge.wait_until_ready();
    let subject = pipeline.send_image(0, &sample(0), PNG, Some(2));
    let answers = pipeline.read_answers(1, SOON);
    let (partition, event) = &answers[&subject][0];
    assert_eq!((*partition, event.source.as_str()), (2, "times-inference"));
    assert!(event.compute_micros > 0 && event.compute_micros < 1_000_000, "{event:?}");
    assert!(event.queue_micros < 1_000_000, "{event:?}");
}
