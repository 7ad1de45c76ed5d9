//! The test set of CIFAR-10, each image encoded before the start.

use std::{path::Path, time::Instant};

use image::{
    ExtendedColorType, ImageEncoder, ImageError,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use rand::{SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};
use tailrace_classifier::{RAW_BYTES, SIDE};

use crate::test_set::{TestSet, TestSetError};

/// Images in the order in which they are sent.
#[derive(Debug)]
pub struct Dataset(Vec<Picture>);

/// One image.
#[derive(Debug, PartialEq)]
pub struct Picture {
    /// A PNG file of 32 x 32 pixels.
    pub png: Vec<u8>,
    /// Its class.
    pub label: &'static str,
}

/// Which images, and in which order.
#[derive(Clone, Copy, Debug)]
pub struct Selection {
    /// The same seed, the same order.
    pub seed: u64,
    /// Which of the producers this one is, from 0.
    pub index: u32,
    /// How many producers there are.
    pub producers: u32,
    /// How many images will be sent; no more are encoded. If there are not so many, they are sent again.
    pub wanted: Option<u64>,
}

/// The images cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The test set cannot be read.
    #[error(transparent)]
    TestSet(#[from] TestSetError),
    /// A PNG file could not be written.
    #[error("cannot encode an image: {0}")]
    Encode(ImageError),
}

impl Dataset {
    /// Reads and encodes images. The order of all is shuffled by the seed and is the same for all producers; producer i
    /// of N begins at i/N of it, so that they do not send the same images at the same time, and goes round.
    ///
    /// # Errors
    /// A [`DatasetError`] that names the file.
    pub fn load(folder: &Path, selection: Selection) -> Result<Self, DatasetError> {
        let begun = Instant::now();
        let set = TestSet::read(folder)?;
        let pictures = order(set.len(), selection)
            .into_iter()
            .map(|number| Ok(Picture { png: encode(set.rgb(number))?, label: set.label(number) }));
        let pictures = pictures.collect::<Result<Vec<_>, DatasetError>>()?;
        tracing::info!(images = pictures.len(), millis = begun.elapsed().as_millis(), "images are encoded");
        Ok(Self(pictures))
    }

    /// The image to be sent as number `sequence`, from 0.
    pub fn picture(&self, sequence: u64) -> &Picture {
        &self.0[(sequence % self.0.len() as u64) as usize]
    }
}

fn order(images: usize, Selection { seed, index, producers, wanted }: Selection) -> Vec<usize> {
    let mut order: Vec<usize> = (0..images).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let first = (images as u64 * u64::from(index) / u64::from(producers.max(1))) as usize % images;
    order.rotate_left(first);
    let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok()).unwrap_or(images);
    order.truncate(wanted.max(1));
    order
}

/// With a fixed filter and the fast compressor all 10,000 images take a tenth of a second, and 10 % more bytes than with
/// the best effort, which takes ten times as long.
fn encode(pixels: &[u8]) -> Result<Vec<u8>, DatasetError> {
    let mut png = Vec::with_capacity(RAW_BYTES);
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Paeth)
        .write_image(pixels, SIDE as u32, SIDE as u32, ExtendedColorType::Rgb8)
        .map_err(DatasetError::Encode)?;
    png.shrink_to_fit();
    Ok(png)
}

#[cfg(test)]
mod tests {
    use tailrace_classifier::CIFAR_10;

    use super::*;

    const SELECTION: Selection = Selection { seed: 42, index: 0, producers: 1, wanted: None };

    /// A set whose image n is filled with the byte n and is of class n % 10.
    fn folder(images: u8) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let pixels: Vec<u8> = (0..images).flat_map(|value| [value; RAW_BYTES]).collect();
        image::save_buffer(
            folder.path().join("test_batch.png"),
            &pixels,
            (SIDE * SIDE) as u32,
            u32::from(images),
            ExtendedColorType::Rgb8,
        )
        .unwrap();
        let labels: Vec<u8> = (0..images).map(|image| image % 10).collect();
        std::fs::write(folder.path().join("test_lables.json"), serde_json::to_vec(&labels).unwrap()).unwrap();
        folder
    }

    fn first_byte(picture: &Picture) -> u8 {
        image::load_from_memory(&picture.png).unwrap().into_rgb8().into_raw()[0]
    }

    #[test]
    fn pictures_are_encoded_without_loss_and_keep_their_labels() {
        let folder = folder(20);
        let dataset = Dataset::load(folder.path(), SELECTION).unwrap();
        let mut seen: Vec<u8> = (0..20).map(|sequence| first_byte(dataset.picture(sequence))).collect();
        for sequence in 0..20 {
            let picture = dataset.picture(sequence);
            assert_eq!(picture.label, CIFAR_10[usize::from(first_byte(picture) % 10)]);
        }
        assert_ne!(seen, (0..20).collect::<Vec<u8>>(), "they are shuffled");
        seen.sort_unstable();
        assert_eq!(seen, (0..20).collect::<Vec<u8>>(), "each comes once");
    }

    #[test]
    fn the_order_is_a_function_of_the_seed() {
        assert_eq!(order(10, SELECTION), [7, 1, 5, 4, 6, 9, 3, 8, 2, 0]);
        assert_ne!(order(10, Selection { seed: 43, ..SELECTION }), order(10, SELECTION));
    }

    #[test]
    fn producers_begin_at_different_places_of_the_same_order() {
        let alone = order(10, SELECTION);
        let second = order(10, Selection { index: 1, producers: 2, ..SELECTION });
        assert_eq!(second, [&alone[5..], &alone[..5]].concat());
    }

    #[test]
    fn no_more_is_encoded_than_will_be_sent() {
        let folder = folder(20);
        let dataset = Dataset::load(folder.path(), Selection { wanted: Some(3), ..SELECTION }).unwrap();
        assert_eq!(dataset.0.len(), 3);
        assert_eq!(dataset.picture(3), dataset.picture(0));
        let more = Dataset::load(folder.path(), Selection { wanted: Some(30), ..SELECTION }).unwrap();
        assert_eq!(more.0.len(), 20);
    }

    #[test]
    fn a_wrong_dataset_is_refused_with_the_name_of_the_file() {
        let refused = |folder: &Path| Dataset::load(folder, SELECTION).unwrap_err().to_string();
        let empty = tempfile::tempdir().unwrap();
        assert!(refused(empty.path()).contains("test_lables.json"));
        let folder = folder(5);
        let labels = folder.path().join("test_lables.json");
        std::fs::write(&labels, "[1, 2]").unwrap();
        assert!(refused(folder.path()).contains("1024 x 5"));
        std::fs::write(&labels, "[1, 2, 3, 4, 10]").unwrap();
        assert!(refused(folder.path()).contains("10 is no class"));
        std::fs::write(&labels, "{}").unwrap();
        assert!(refused(folder.path()).contains("no JSON list"));
    }
}
