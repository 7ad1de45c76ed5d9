//! A producer that ran to its end, and what it printed.

use std::path::Path;

use image::ExtendedColorType;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Pipeline, Worker};

pub struct Measured(Value);

impl Measured {
    /// Runs one producer with these flags to its end.
    pub fn run(pipeline: &Pipeline, flags: &str) -> Self {
        Self::run_on(pipeline, dataset().path(), flags)
    }

    /// The same, with the images of this folder.
    pub fn run_on(pipeline: &Pipeline, dataset: &Path, flags: &str) -> Self {
        let ended = Worker::run(&command_line(pipeline, dataset, flags), &[]);
        assert!(ended.status.success(), "{}", ended.output);
        println!("{}", ended.output);
        // What follows is the log.
        let mut printed = serde_json::Deserializer::from_str(&ended.output).into_iter();
        Self(printed.next().unwrap().unwrap())
    }

    /// A count of the measurement, such as `lost`.
    pub fn count(&self, name: &str) -> u64 {
        self.0["messages"][name].as_u64().unwrap()
    }

    /// A count of the warm-up.
    pub fn warmup(&self, name: &str) -> u64 {
        self.0["warmupMessages"][name].as_u64().unwrap()
    }

    /// What was left to do at the end, such as `images`.
    pub fn backlog(&self, name: &str) -> u64 {
        self.0["backlog"][name].as_u64().unwrap()
    }

    /// A percentile of the latency in milliseconds, such as `p95`; none if it falls on images without an answer.
    pub fn latency(&self, percentile: &str) -> Option<f64> {
        self.0["latencyMicros"][percentile].as_u64().map(|micros| micros as f64 / 1_000.0)
    }

    /// The same of the send delay.
    pub fn send_delay(&self, percentile: &str) -> f64 {
        self.0["sendDelayMicros"][percentile].as_u64().unwrap() as f64 / 1_000.0
    }

    /// In percent; none where no image has a label.
    pub fn accuracy(&self) -> Option<f64> {
        self.0["accuracyPercent"].as_str().map(|percent| percent.parse().unwrap())
    }

    /// How many records the topic of the images got, from all sources; none if Kafka did not say.
    pub fn topic_records(&self) -> Option<u64> {
        let records = &self.0["topicRecords"];
        assert!(records.is_null() || records.is_u64(), "{records}");
        records.as_u64()
    }

    /// Why the numbers do not mean what they say.
    pub fn invalid(&self) -> Option<&str> {
        self.0["invalid"].as_str()
    }
}

/// The command line of a producer that works for nobody.
pub fn command_line(pipeline: &Pipeline, dataset: &Path, flags: &str) -> Vec<String> {
    let mut command_line = pipeline.arguments("producer");
    command_line.extend(["--dataset".to_owned(), dataset.display().to_string()]);
    command_line.extend(flags.split_whitespace().map(str::to_owned));
    command_line
}

/// Fifty images, each of one colour: image n is of class n % 10.
pub fn dataset() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = (0..50u8).flat_map(|value| [value; 3072]).collect();
    image::save_buffer(folder.path().join("test_batch.png"), &pixels, 1024, 50, ExtendedColorType::Rgb8).unwrap();
    let labels: Vec<u8> = (0..50).map(|image| image % 10).collect();
    std::fs::write(folder.path().join("test_lables.json"), serde_json::to_vec(&labels).unwrap()).unwrap();
    folder
}
