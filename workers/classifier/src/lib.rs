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
//! [`Classifier::classify`] computes on the thread that calls it and on no other. A [`Classifier`] can be shared between
//! threads: to use all cores, call from one thread a core, or share one batch with [`Classifier::classify_on_all_cores`].
//!
//! # Instructions
//! The best vector instructions of the processor are chosen once ([`InstructionSet::in_use`]). The environment variable
//! `TAILRACE_INSTRUCTION_SET` forces `avx512`, `avx2` or `portable`.
#![forbid(unsafe_code)]

mod architecture;
mod checkpoint;
mod classifier;
mod error;
mod files;
mod instruction_set;
mod jpeg;
mod media_type;
mod model;
mod network;
mod operations;
mod pixels;
mod png;
mod probabilities;
#[cfg(test)]
mod reference;
mod vectors;
mod weights;

pub use checkpoint::CheckpointError;
pub use classifier::{Classification, Classifier};
pub use error::{ClassifyError, DecodeError, LoadError};
pub use files::{MAX_SIDE, decode, open};
pub use instruction_set::{INSTRUCTION_SET_VARIABLE, InstructionSet};
pub use media_type::media_type;
pub use model::{CIFAR_10, LoadOptions, Model};
pub use pixels::{Pixels, RAW_BYTES, SIDE};
pub use probabilities::Probabilities;
