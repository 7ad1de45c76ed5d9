//! A CIFAR ResNet on Candle: an image in, a label out. No Kafka, no HTTP.
//!
//! ```no_run
//! use std::path::Path;
//! use tailrace_classifier::{Classifier, decode};
//!
//! let classifier = Classifier::load(Path::new("models/resnet20.safetensors"))?;
//! let pixels = decode("image/png", &std::fs::read("models/sample/0000-cat.png")?)?;
//! let answers = classifier.classify(&[pixels])?;
//! println!("{} ({:.2})", answers[0].label, answers[0].confidence);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Threads
//! A call computes on the thread that makes it and on no other: to use all cores, call from one thread a core.
//! A [`Classifier`] can be shared between threads. [`Classifier::load`] makes this so by raising the size from which
//! the `gemm` crate splits a matrix product, for the whole process; images are computed one after the other, so that
//! no other operation reaches the size from which Candle splits it.
//!
//! Start the process with `RAYON_NUM_THREADS=1`. Without it Candle counts the processor's cores before each matrix
//! product by reading `/proc/cpuinfo`, which about doubles the time of an image.
#![forbid(unsafe_code)]

mod classifier;
mod convolution;
mod error;
mod model;
mod network;
mod pixels;
mod probabilities;
#[cfg(test)]
mod reference;
mod weights;

pub use classifier::{Classification, Classifier};
pub use error::{ClassifyError, DecodeError, LoadError};
pub use model::Model;
pub use pixels::{MAX_SIDE, Pixels, RAW_BYTES, SIDE, decode};
pub use probabilities::Probabilities;
