//! The same process answers over Kafka and over HTTP.

use std::time::Duration;

use serde_json::{Value, from_slice};
use tailrace_wire::PNG;

use crate::support::{Pipeline, sample};

#[test]
fn an_image_has_the_same_answer_over_kafka_and_over_http() {
    const IMAGES: usize = 10;
    let pipeline = Pipeline::new("both", 1);
    let mut classifier = pipeline.start_classifier();
    classifier.wait_until_ready();
    let subjects: Vec<_> = (0..IMAGES).map(|id| pipeline.send_image(id, &sample(id), PNG, None)).collect();
    let answers = pipeline.read_answers(IMAGES, Duration::from_secs(40));

    for (id, subject) in subjects.iter().enumerate() {
        let over_kafka: Value = from_slice(&answers[subject][0].1.to_value().unwrap()).unwrap();
        let over_http = classifier.ask("POST /predict", &["Content-Type: image/png"], &sample(id)).json();
        for (field, value) in over_kafka.as_object().unwrap() {
            assert_eq!(&over_http[field], value, "{field} of {subject}");
        }
        assert_ne!(over_kafka["label"], Value::Null);
    }
    let classified = classifier.metric("tailrace_inference_images_total{outcome=\"Classified\"}");
    assert_eq!(classified, 2.0 * IMAGES as f64);
    assert_eq!(classifier.process.terminate(Duration::from_secs(20)).code(), Some(0));
}
