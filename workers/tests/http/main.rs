//! The classifier over HTTP: the worker itself as a process, and clients that are polite, slow, greedy, wrong or gone.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod any_bytes;
mod draining;
mod limits;
mod open_inference;
mod predict;
mod tensors;
mod with_kafka;

use image::{ImageFormat, RgbImage};

/// A PNG of a few kilobytes that takes a while to decode.
fn slow_image() -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    RgbImage::new(2048, 2048).write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}
