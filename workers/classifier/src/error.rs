//! What can go wrong, each in one sentence.

use std::path::PathBuf;

use crate::pixels::{MAX_SIDE, RAW_BYTES};

/// An image that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The content type is none of those that are understood.
    #[error("content type {found:?} is not supported: send image/png, image/jpeg or application/octet-stream")]
    UnsupportedType {
        /// The content type that came with the image.
        found: String,
    },
    /// Raw pixels of another size.
    #[error("a raw image has {RAW_BYTES} bytes (32 x 32 pixels, RGB, row by row), not {found}")]
    RawSize {
        /// Number of bytes that came.
        found: usize,
    },
    /// More pixels than are decoded.
    #[error("the image has {width} x {height} pixels: send at most {MAX_SIDE} x {MAX_SIDE}")]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The bytes are not what the content type says.
    #[error("the bytes are not a readable {content_type}: {source}")]
    Malformed {
        /// The content type that came with the image.
        content_type: &'static str,
        /// What the decoder says.
        source: image::ImageError,
    },
}

/// A model that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the model {}: {source}", path.display())]
    Read {
        /// The model's file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is in another format.
    #[error("{} is not a safetensors file: {source}", path.display())]
    Format {
        /// The model's file.
        path: PathBuf,
        /// What the reader says.
        source: safetensors::SafeTensorError,
    },
    /// An entry of the file's metadata is missing or cannot be used.
    #[error("the model's metadata must have {key:?} as {expected}, found {found}")]
    Metadata {
        /// Name of the entry.
        key: &'static str,
        /// What it should be.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A tensor is not there.
    #[error("tensor {name:?} is missing: a CIFAR ResNet has it with the shape {expected}")]
    MissingTensor {
        /// Name of the tensor.
        name: String,
        /// Its shape, for example `[16, 3, 3, 3]`.
        expected: String,
    },
    /// A tensor has another shape.
    #[error("tensor {name:?} must have the shape {expected}, found {found:?}")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// The shape it should have.
        expected: String,
        /// The shape it has.
        found: Vec<usize>,
    },
    /// A tensor that this kind of network does not have.
    #[error("tensor {name:?} with the shape {found:?} is not part of a CIFAR ResNet with shortcuts of option A")]
    UnexpectedTensor {
        /// Name of the tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A weight is infinite or not a number.
    #[error("tensor {name:?} has values that are not finite")]
    NotFinite {
        /// Name of the tensor.
        name: String,
    },
    /// The environment asks for vector instructions that cannot be used.
    #[error("TAILRACE_INSTRUCTION_SET is {found:?}: this processor has {available}")]
    InstructionSet {
        /// What the variable says.
        found: String,
        /// What it can say on this processor.
        available: String,
    },
    /// Candle could not prepare the weights.
    #[error("cannot prepare the weights: {0}")]
    Candle(#[from] candle_core::Error),
}

/// A computation that failed.
#[derive(Debug, thiserror::Error)]
#[error("the network could not be computed: {0}")]
pub struct ClassifyError(#[from] candle_core::Error);
