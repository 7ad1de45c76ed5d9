//! PyTorch checkpoints: a pickle that names tensors, and the bytes of the tensors beside it.
//!
//! Nothing in a checkpoint is run. Its pickle is read by [`pickle`], which knows dictionaries, lists, numbers, names
//! and tensors, and takes whatever else it comes across for an opaque thing. Memory is bounded by the size of the file.

mod archive;
mod error;
mod legacy;
mod pickle;
mod strides;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;

pub use error::CheckpointError;
use pickle::{Id, Object, Pickle};

use crate::weights::StoredTensor;

/// Under which names training scripts keep the state_dict beside other things.
const STATE_DICTS: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];

/// The bytes that tensors look into, by the key under which the pickle knows them.
type Storages<'a> = HashMap<String, Cow<'a, [u8]>>;

/// Whether these are the first bytes of a checkpoint, as `torch.save` of any version writes it.
pub(crate) fn is_checkpoint(file: &[u8]) -> bool {
    file.starts_with(archive::START) || file.starts_with(legacy::START)
}

/// The tensors of the state_dict.
pub(crate) fn read(file: &[u8]) -> Result<HashMap<String, StoredTensor<'static>>, CheckpointError> {
    if file.starts_with(archive::START) {
        let (pickle, storages) = archive::read(file)?;
        let (pickle, _) = Pickle::read(&pickle)?;
        tensors(&pickle, &storages, file.len())
    } else {
        let (pickle, storages) = legacy::read(file)?;
        tensors(&pickle, &storages, file.len())
    }
}

fn tensors(
    pickle: &Pickle,
    storages: &Storages,
    most_bytes: usize,
) -> Result<HashMap<String, StoredTensor<'static>>, CheckpointError> {
    let mut bytes_left = most_bytes;
    let mut tensors = HashMap::new();
    for (key, value) in state_dict(pickle)? {
        let Object::Text(name) = pickle.get(*key) else { return Err(CheckpointError::NoName) };
        let name = (*name).to_owned();
        let Object::Tensor(view) = pickle.get(*value) else {
            return Err(CheckpointError::NoTensor { name, found: pickle.describe(*value) });
        };
        let storage = storages.get(view.storage.key).map(Cow::as_ref);
        let (float, bytes) = (view.storage.float, strides::contiguous(view, storage, bytes_left));
        let bytes = bytes.ok_or_else(|| CheckpointError::Outside { name: name.clone(), shape: view.shape.clone() })?;
        bytes_left -= bytes.len();
        tensors.insert(name, StoredTensor { shape: view.shape.clone(), float, bytes: bytes.into() });
    }
    Ok(tensors)
}

/// The names and values of the dictionary that has the tensors.
fn state_dict<'p>(pickle: &'p Pickle) -> Result<&'p [(Id, Id)], CheckpointError> {
    let no_dictionary = |id| CheckpointError::NoStateDict { found: pickle.describe(id) };
    let Object::Dictionary(root) = pickle.get(pickle.root()) else { return Err(no_dictionary(pickle.root())) };
    let inner = STATE_DICTS
        .iter()
        .find_map(|name| root.iter().find(|(key, _)| matches!(pickle.get(*key), Object::Text(text) if text == name)));
    match inner {
        None => Ok(root),
        Some((_, value)) => match pickle.get(*value) {
            Object::Dictionary(entries) => Ok(entries),
            _ => Err(no_dictionary(*value)),
        },
    }
}
