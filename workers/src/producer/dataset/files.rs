//! A folder of one's own image files.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use image::DynamicImage;
use tailrace_classifier::{media_type, open};
use tailrace_wire::{JPEG, PNG, guess_content_type};
use walkdir::{DirEntry, WalkDir};

use super::{DatasetError, Memory, Picture, Selection};
use crate::encoding::Encoding;

/// The most files of one folder.
pub const MOST_FILES: usize = 100_000;
/// The most bytes of a file: about those of the largest picture that is decoded, were it not compressed at all.
const MOST_FILE_BYTES: u64 = 32 << 20;
/// What the file systems of Linux put at the top of a volume, for themselves.
const LOST_AND_FOUND: &str = "lost+found";

/// A file that has not been read yet.
struct ImageFile {
    path: PathBuf,
    /// The first folder below the one that was listed; none at its top.
    label: Option<Arc<str>>,
}

/// The images of a selection in its order, as they are or encoded anew. Each is decoded, so that none is sent that the
/// classifier could not read.
///
/// # Errors
/// A [`DatasetError`] that names the file.
pub fn pictures(
    folder: &Path,
    encoding: Option<Encoding>,
    memory: &mut Memory<'_>,
    selection: Selection,
) -> Result<Vec<Picture>, DatasetError> {
    let files = list(folder)?;
    let chosen = selection.order(files.len()).into_iter().map(|number| &files[number]);
    let pictures = chosen.map(|ImageFile { path, label }| {
        let (file, content_type, image) = read(path)?;
        let (bytes, content_type) = match encoding {
            Some(encoding) => (encoded(path, encoding, image)?, encoding.content_type()),
            None => (file, content_type),
        };
        memory.keep(path, &bytes, content_type, label.clone())
    });
    pictures.collect()
}

fn encoded(path: &Path, encoding: Encoding, image: DynamicImage) -> Result<Vec<u8>, DatasetError> {
    encoding.encode(image).map_err(|source| DatasetError::Encode { path: path.to_owned(), source })
}

/// The files below a folder, sorted by their paths, so that their order is that of no file system. What begins with a
/// dot is passed over.
fn list(folder: &Path) -> Result<Vec<ImageFile>, DatasetError> {
    let mut files: Vec<ImageFile> = Vec::new();
    for entry in WalkDir::new(folder).min_depth(1).sort_by_file_name().into_iter().filter_entry(is_meant) {
        let entry = entry.map_err(|error| cannot_list(folder, error))?;
        if entry.file_type().is_dir() {
            continue;
        }
        if !entry.file_type().is_file() {
            return Err(DatasetError::NoFile(entry.into_path()));
        }
        if files.len() == MOST_FILES {
            return Err(DatasetError::TooManyFiles(folder.to_owned()));
        }
        let label = label(folder, entry.path(), files.last());
        files.push(ImageFile { path: entry.into_path(), label });
    }
    if files.is_empty() { Err(DatasetError::NoFiles(folder.to_owned())) } else { Ok(files) }
}

fn is_meant(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    !name.starts_with('.') && name != LOST_AND_FOUND
}

fn cannot_list(folder: &Path, error: walkdir::Error) -> DatasetError {
    let path = error.path().unwrap_or(folder).to_owned();
    DatasetError::Read { path, source: error.into() }
}

/// Files of one label follow each other: they share its text.
fn label(folder: &Path, path: &Path, before: Option<&ImageFile>) -> Option<Arc<str>> {
    let mut below = path.strip_prefix(folder).ok()?.components();
    let (first, rest) = (below.next()?, below.next());
    rest?;
    let name = first.as_os_str().to_string_lossy();
    let shared = before.and_then(|file| file.label.clone()).filter(|label| **label == *name);
    Some(shared.unwrap_or_else(|| name.into()))
}

/// The bytes of a file, its content type by the first of them, and its picture, decoded.
fn read(path: &Path) -> Result<(Vec<u8>, &'static str, DynamicImage), DatasetError> {
    let bytes = bytes(path)?;
    let unreadable = |source| DatasetError::Decode { path: path.to_owned(), source };
    let content_type = match media_type(guess_content_type(&bytes), &bytes).map_err(unreadable)? {
        file @ (PNG | JPEG) => file,
        _ => return Err(DatasetError::NoImage(path.to_owned())),
    };
    let image = open(content_type, &bytes).map_err(unreadable)?;
    Ok((bytes, content_type, image))
}

fn bytes(path: &Path) -> Result<Vec<u8>, DatasetError> {
    let mut bytes = Vec::new();
    let read =
        |bytes: &mut Vec<u8>| -> io::Result<usize> { File::open(path)?.take(MOST_FILE_BYTES + 1).read_to_end(bytes) };
    read(&mut bytes).map_err(|source| DatasetError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > MOST_FILE_BYTES {
        return Err(DatasetError::LargeFile { path: path.to_owned(), most: MOST_FILE_BYTES });
    }
    Ok(bytes)
}
