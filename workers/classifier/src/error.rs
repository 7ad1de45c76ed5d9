//! What can go wrong, each in one sentence.

use std::path::PathBuf;

use crate::CheckpointError;
use crate::{files::MAX_SIDE, pixels::RAW_BYTES};

/// An image that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Neither the content type nor the first bytes are any of those that are understood.
    #[error("content type {found:?} is not supported: send image/png, image/jpeg or application/octet-stream")]
    UnsupportedType {
        /// The content type that came with the image.
        found: String,
    },
    /// A picture in a format that is not read.
    #[error("the image is a {format} file, which is not read: send PNG or JPEG")]
    UnsupportedFormat {
        /// What it is, by its first bytes.
        format: &'static str,
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
        width: u64,
        /// Height in pixels.
        height: u64,
    },
    /// The file is damaged, or cut, or none at all.
    #[error("the bytes are not a readable {content_type}: {why}")]
    Malformed {
        /// What they are by their first bytes, or else by the content type that came with them.
        content_type: &'static str,
        /// What the decoder says.
        why: String,
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
    /// The file is larger than any such network.
    #[error("the model {} has more than {most} bytes: save the state_dict alone", path.display())]
    TooLarge {
        /// The model's file.
        path: PathBuf,
        /// How many bytes are read.
        most: u64,
    },
    /// The file is in another format.
    #[error("{} is neither a PyTorch checkpoint nor a safetensors file: {source}", path.display())]
    Format {
        /// The model's file.
        path: PathBuf,
        /// What the reader says.
        source: safetensors::SafeTensorError,
    },
    /// The file is a PyTorch checkpoint that cannot be used.
    #[error("the checkpoint {} cannot be used: {source}", path.display())]
    Checkpoint {
        /// The model's file.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// What is given in the file's metadata, or instead of it, cannot be used.
    #[error("the model's {key} must be {expected}, found {found}")]
    Metadata {
        /// `labels`, `mean`, `std` or `max_pool`.
        key: &'static str,
        /// What it should be.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A tensor is not there.
    #[error("tensor {name:?} is missing: a CIFAR ResNet has it with the shape {expected}; the file has {there}")]
    MissingTensor {
        /// Name of the tensor.
        name: String,
        /// Its shape, for example `[16, 3, 3, 3]`.
        expected: String,
        /// Tensors that are there, with their shapes.
        there: String,
    },
    /// Nobody says which one is meant.
    #[error(
        "the file has {} networks, whose names begin with {prefixes:?}: save the state_dict of one of them",
        prefixes.len()
    )]
    SeveralNetworks {
        /// What stands before the names of each.
        prefixes: Vec<String>,
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
    #[error(
        "tensor {name:?} with the shape {found:?} is not part of a CIFAR ResNet: \
         6n+2 layers in three stages of n blocks, or ResNet-18, and projections only where the image becomes smaller"
    )]
    UnexpectedTensor {
        /// Name of the tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A weight is infinite or not a number.
    #[error(
        "tensor {name:?} has values that are not finite, or not after the batch norm is folded into the convolution"
    )]
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
    /// A weight is no floating-point number.
    #[error("tensor {name:?} has integers or rare floats: save it as 16, 32 or 64-bit floats or bfloat16")]
    NoFloats {
        /// Name of the tensor.
        name: String,
    },
    /// Candle could not prepare the weights.
    #[error("cannot prepare the weights: {0}")]
    Candle(#[from] candle_core::Error),
}

/// A computation that failed.
#[derive(Debug, thiserror::Error)]
#[error("the network could not be computed: {0}")]
pub struct ClassifyError(#[from] candle_core::Error);
