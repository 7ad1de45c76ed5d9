//! The form before PyTorch 1.6: pickles one after the other (a magic number, a version, a description of the machine,
//! the object, the keys of its storages), then each storage as its length and its elements.

use std::collections::HashMap;

use super::pickle::{Object, Pickle};
use super::{CheckpointError, Storages};

/// The pickle of PyTorch's magic number.
pub const START: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// The pickle of the object, and the storages.
pub fn read(file: &[u8]) -> Result<(Pickle<'_>, Storages<'_>), CheckpointError> {
    let mut rest = &file[START.len()..];
    let (_version, _machine) = (next(&mut rest)?, next(&mut rest)?);
    let (object, keys) = (next(&mut rest)?, next(&mut rest)?);
    let lengths: HashMap<&str, usize> =
        object.storages().map(|storage| (storage.key, storage.length.saturating_mul(storage.element))).collect();
    let Object::List(list) = keys.get(keys.root()) else {
        return Err(CheckpointError::Pickle { at: 0, problem: "no list of storages" });
    };
    let mut storages = HashMap::new();
    for key in list {
        let Object::Text(key) = keys.get(*key) else {
            return Err(CheckpointError::Pickle { at: 0, problem: "the key of a storage is no text" });
        };
        let length = lengths.get(key).copied();
        let length = length.ok_or(CheckpointError::Pickle { at: 0, problem: "a storage is not used" })?;
        // The number of elements, which the pickle says too.
        take(&mut rest, 8)?;
        storages.insert((*key).to_owned(), take(&mut rest, length)?.into());
    }
    Ok((object, storages))
}

fn next<'a>(rest: &mut &'a [u8]) -> Result<Pickle<'a>, CheckpointError> {
    let (pickle, length) = Pickle::read(rest)?;
    take(rest, length)?;
    Ok(pickle)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], CheckpointError> {
    let (taken, left) = rest.split_at_checked(length).ok_or(CheckpointError::Truncated)?;
    *rest = left;
    Ok(taken)
}
