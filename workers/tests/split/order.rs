//! Order per key, and what goes side by side.

use std::collections::BTreeMap;

use tailrace_wire::AnswerEvent;

use crate::{
    SOON, count, slow_image,
    support::{Pipeline, Worker, sample},
};

/// The ids of the answers to each camera, in the order in which they came.
fn by_camera(pipeline: &Pipeline, answers: usize) -> BTreeMap<String, Vec<usize>> {
    let mut cameras: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for record in pipeline.read(&pipeline.answers(), SOON, |records| records.len() >= answers) {
        let event = AnswerEvent::from_record(&record).unwrap();
        let (camera, id) = event.subject.rsplit_once('/').unwrap();
        cameras.entry(camera.to_owned()).or_default().push(id.parse().unwrap());
    }
    cameras
}

/// Every third image takes the server much longer: side by side, those behind it would come first.
#[test]
fn the_images_of_a_key_are_answered_in_their_order() {
    const CAMERAS: usize = 8;
    const IMAGES: usize = 40;
    let pipeline = Pipeline::new("order", 2);
    let server = Worker::start_server(&["--max-batch=1"]);
    let bridge = pipeline.start_bridge(server.port(), &[]);
    let (slow, fast) = (slow_image(), sample(0));
    for id in 0..IMAGES {
        for camera in 0..CAMERAS {
            pipeline.send_image_of(&format!("camera-{camera}"), id, if id % 3 == 0 { &slow } else { &fast });
        }
    }
    let cameras = by_camera(&pipeline, CAMERAS * IMAGES);
    assert_eq!(cameras.len(), CAMERAS);
    for (camera, ids) in cameras {
        assert_eq!(ids, (0..IMAGES).collect::<Vec<_>>(), "{camera}: {}", bridge.process.log());
    }
}

#[test]
fn images_without_a_key_do_not_wait_for_each_other() {
    let pipeline = Pipeline::new("unordered", 1);
    let server = Worker::start_server(&["--max-batch=1"]);
    let (slow, fast) = (slow_image(), sample(0));
    // Of many slow and fast ones that go side by side, some fast one overtakes a slow one.
    for id in 0..64 {
        pipeline.send_image(id, if id % 2 == 0 { &slow } else { &fast }, tailrace_wire::PNG, None);
    }
    let bridge = pipeline.start_bridge(server.port(), &[]);
    let ids = by_camera(&pipeline, 64).remove("camera").unwrap();
    assert!(!ids.is_sorted(), "{ids:?}");
    assert_eq!(count(&bridge, "requests_total{outcome=\"Labelled\"}"), 64.0);
}

#[test]
fn connections_are_kept() {
    let pipeline = Pipeline::new("kept", 1);
    let server = Worker::start_server(&[]);
    let proxy = crate::proxy::Proxy::start(server.port(), None);
    pipeline.send_images(500);
    let _bridge = pipeline.start_bridge(proxy.port(), &["--concurrency=4"]);
    assert_eq!(pipeline.read_answers(500, SOON).len(), 500);
    assert!(proxy.connections() < 20, "{} connections for 500 images", proxy.connections());
}
