//! What makes a checkpoint unusable.

/// Why a PyTorch checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The ZIP archive around it is damaged or compressed.
    #[error("its ZIP archive cannot be read: {0}")]
    Archive(#[from] zip::result::ZipError),
    /// An entry of the archive is damaged.
    #[error("{name:?} in its ZIP archive cannot be read: {source}")]
    Entry {
        /// Name of the entry.
        name: String,
        /// What the reader says.
        source: std::io::Error,
    },
    /// There are more entries than a network has tensors.
    #[error("its ZIP archive has more than {most} entries")]
    ManyEntries {
        /// How many are read.
        most: usize,
    },
    /// The archive was not written by PyTorch.
    #[error("its ZIP archive has no data.pkl: write it with torch.save")]
    NoPickle,
    /// The pickle is longer than that of any state_dict.
    #[error("its pickle has {found} bytes, more than {most}: save the state_dict alone")]
    LongPickle {
        /// Bytes of the pickle.
        found: usize,
        /// How many are read.
        most: usize,
    },
    /// The entries of the archive overlap.
    #[error("the entries of its ZIP archive have more bytes than the file")]
    Overlap,
    /// The weights were written by a machine with another order of bytes.
    #[error("its numbers are big-endian: write it on a little-endian machine")]
    BigEndian,
    /// The file ends too early.
    #[error("it ends in the middle: fetch or write it again")]
    Truncated,
    /// The pickle contradicts itself.
    #[error("its pickle is damaged at byte {at}: {problem}")]
    Pickle {
        /// Offset from the start of the pickle.
        at: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// The pickle needs more than is read.
    #[error(
        "its pickle has the op-code {code:#04x} at byte {at}, which is not read: \
         write the state_dict with torch.save and its default protocol"
    )]
    OpCode {
        /// The byte of the op-code.
        code: u8,
        /// Offset from the start of the pickle.
        at: usize,
    },
    /// There is something else where the state_dict should be.
    #[error("it holds {found} instead of a state_dict: write it with torch.save(model.state_dict(), FILE)")]
    NoStateDict {
        /// What is there.
        found: String,
    },
    /// A key of the state_dict is no text.
    #[error("its state_dict has an entry whose name is no text")]
    NoName,
    /// An entry of the state_dict is something else than a tensor.
    #[error("its entry {name:?} is {found}, not a tensor: save the state_dict alone, or under the key \"state_dict\"")]
    NoTensor {
        /// Name of the entry.
        name: String,
        /// What is there.
        found: String,
    },
    /// A tensor is larger than what the file has for it.
    #[error("its tensor {name:?} with the shape {shape:?} needs more bytes than the file has for it")]
    Outside {
        /// Name of the tensor.
        name: String,
        /// The shape that the pickle says.
        shape: Vec<usize>,
    },
}
