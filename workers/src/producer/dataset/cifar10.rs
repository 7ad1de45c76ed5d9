//! The test set of CIFAR-10, each image encoded.

use std::{path::Path, sync::Arc};

use tailrace_classifier::CIFAR_10;

use super::{DatasetError, Memory, Picture, Selection};
use crate::{encoding::Encoding, test_set::TestSet};

/// The images of a selection in its order. They are read and encoded in the order of their file, one at a time: all
/// their pixels together would take more memory than what is sent of them.
///
/// # Errors
/// A [`DatasetError`] that names the file.
pub fn pictures(
    folder: &Path,
    encoding: Encoding,
    memory: &mut Memory<'_>,
    selection: Selection,
) -> Result<Vec<Picture>, DatasetError> {
    let mut set = TestSet::open(folder)?;
    let labels = CIFAR_10.map(Arc::<str>::from);
    let mut places = vec![None; set.len()];
    for (place, number) in selection.order(set.len()).into_iter().enumerate() {
        places[number] = Some(place);
    }
    let mut pictures = Vec::new();
    for (number, place) in places.into_iter().enumerate() {
        let (Some(image), Some(place)) = (set.next_image()?, place) else { continue };
        let bytes = encoding.encode(image.into());
        let bytes = bytes.map_err(|source| DatasetError::Encode { path: folder.to_owned(), source })?;
        let label = labels.iter().find(|label| &***label == set.label(number)).cloned();
        pictures.push((place, memory.keep(folder, &bytes, encoding.content_type(), label)?));
    }
    pictures.sort_unstable_by_key(|(place, _)| *place);
    Ok(pictures.into_iter().map(|(_, picture)| picture).collect())
}
