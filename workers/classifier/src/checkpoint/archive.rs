//! The form since PyTorch 1.6: a ZIP archive, not compressed, with `data.pkl`, and a file `data/KEY` for each storage.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::pickle::MAX_BYTES;
use super::{CheckpointError, Storages};

/// The first bytes of the file.
pub const START: &[u8] = b"PK\x03\x04";
/// A ResNet-110 with the two moments of an optimizer has under 2,000.
const MAX_ENTRIES: usize = 10_000;
/// What stands before each entry of the archive's directory.
const ENTRY: &[u8] = b"PK\x01\x02";

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// The pickle and the storages.
pub fn read(file: &[u8]) -> Result<(Vec<u8>, Storages<'static>), CheckpointError> {
    // The directory takes many times its bytes in memory.
    if file.windows(ENTRY.len()).filter(|bytes| *bytes == ENTRY).nth(MAX_ENTRIES).is_some() {
        return Err(CheckpointError::ManyEntries { most: MAX_ENTRIES });
    }
    let mut archive = ZipArchive::new(Cursor::new(file))?;
    let names = archive.file_names().map(|name| Ok(name?.into_owned())).collect::<Result<Vec<_>, CheckpointError>>()?;
    let folder = names.iter().find_map(|name| name.strip_suffix("data.pkl")).ok_or(CheckpointError::NoPickle)?;
    let mut bytes_left = file.len();
    let mut get = |name: &str| entry(&mut archive, name, &mut bytes_left);

    let order = format!("{folder}byteorder");
    if names.contains(&order) && get(&order)? == b"big" {
        return Err(CheckpointError::BigEndian);
    }
    let pickle = get(&format!("{folder}data.pkl"))?;
    if pickle.len() > MAX_BYTES {
        return Err(CheckpointError::LongPickle { found: pickle.len(), most: MAX_BYTES });
    }
    let mut storages = HashMap::new();
    for name in &names {
        if let Some(key) = name.strip_prefix(folder).and_then(|name| name.strip_prefix("data/")) {
            storages.insert(key.to_owned(), get(name)?.into());
        }
    }
    Ok((pickle, storages))
}

/// All bytes of an entry, its checksum verified. Entries that lie on each other must not take more than the file has.
fn entry(archive: &mut Archive, name: &str, bytes_left: &mut usize) -> Result<Vec<u8>, CheckpointError> {
    let mut bytes = Vec::new();
    let read = archive.by_name(name)?.take(*bytes_left as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|source| CheckpointError::Entry { name: name.to_owned(), source })?;
    *bytes_left = bytes_left.checked_sub(bytes.len()).ok_or(CheckpointError::Overlap)?;
    Ok(bytes)
}
