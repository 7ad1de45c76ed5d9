//! The split topology: the bridge between a genuine Kafka and a genuine inference server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the helpers of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod command_line;
mod equality;
mod faults;
mod order;
mod proxy;

use std::{collections::BTreeMap, io::Cursor, time::Duration};

use image::{ImageFormat, RgbImage};
use support::{Worker, eventually};

const SOON: Duration = Duration::from_secs(60);

/// A series of the bridge's.
fn count(bridge: &Worker, series: &str) -> f64 {
    bridge.metric(&format!("tailrace_inference_consumer_{series}"))
}

/// Waits until Kafka has acknowledged so many answers of the bridge.
fn answered(bridge: &Worker, answers: f64) {
    eventually("answers", SOON, || (count(bridge, "answers_total") >= answers).then_some(()));
}

fn repeated<T>(answers: &BTreeMap<String, Vec<T>>) -> usize {
    answers.values().filter(|answers| answers.len() > 1).count()
}

/// A PNG of a few kilobytes that takes a while to decode.
fn slow_image() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    RgbImage::new(1024, 1024).write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}
