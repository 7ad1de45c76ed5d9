use std::{io, path::PathBuf};

use tailrace_classifier::DecodeError;

use super::files::MOST_FILES;
use crate::{encoding::EncodeError, test_set::TestSetError};

/// The images cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The test set cannot be read.
    #[error(transparent)]
    TestSet(#[from] TestSetError),
    /// A file or a folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nothing to send.
    #[error("there are no images in {0}: put PNG or JPEG files there, or name another folder")]
    NoFiles(PathBuf),
    /// More than are sent.
    #[error("there are more than {MOST_FILES} files in {0}: name a folder with fewer of them")]
    TooManyFiles(PathBuf),
    /// A link, a pipe or the like.
    #[error("{0} is neither a file nor a folder: put the file itself there")]
    NoFile(PathBuf),
    /// Neither PNG nor JPEG.
    #[error("{0} is neither a PNG nor a JPEG file: take it out of the folder, or begin its name with a dot")]
    NoImage(PathBuf),
    /// No image has so many bytes.
    #[error("{path} has more than {most} bytes: take it out of the folder, or make it smaller")]
    LargeFile {
        /// The file.
        path: PathBuf,
        /// How many are read.
        most: u64,
    },
    /// An image that the classifier could not read either.
    #[error("{path} cannot be sent: {source}")]
    Decode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: DecodeError,
    },
    /// An image cannot be encoded.
    #[error("{path} cannot be encoded: {source}")]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: EncodeError,
    },
    /// Kafka would not take the image.
    #[error(
        "{path} has {bytes} bytes as it would be sent, and a record on Kafka has at most {most}: write an encoding that \
         makes it smaller, or take it out of the folder"
    )]
    LargeRecord {
        /// The file.
        path: PathBuf,
        /// Of the record.
        bytes: usize,
        /// Of any record.
        most: usize,
    },
    /// The images would not fit into memory.
    #[error(
        "the images of {folder} have more than {limit} bytes as they are sent: send fewer or smaller ones, or raise \
         --dataset-limit (in a LoadTest it is half of podTemplate.resources.limits.memory)"
    )]
    TooManyBytes {
        /// Where they are.
        folder: PathBuf,
        /// What they may take.
        limit: u64,
    },
}
