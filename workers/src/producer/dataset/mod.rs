//! The images, all of them read, checked and encoded before the start.

mod arguments;
mod cifar10;
mod error;
mod files;

pub use arguments::{DatasetArgs, DatasetSource};
pub use error::DatasetError;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use rand::{SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};

use crate::encoding::Encoding;

/// The most bytes of one record: what Kafka's client and a broker take if nobody has told them otherwise.
const MOST_RECORD_BYTES: usize = 1_000_000;

/// Images in the order in which they are sent.
#[derive(Debug)]
pub struct Dataset(Vec<Picture>);

/// One image.
#[derive(Debug, PartialEq)]
pub struct Picture {
    /// What is sent of it.
    pub bytes: Box<[u8]>,
    /// What that is.
    pub content_type: &'static str,
    /// Its class, if anybody knows it.
    pub label: Option<Arc<str>>,
}

/// Which images there are, and what is sent of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Where they come from.
    pub source: DatasetSource,
    /// Where they are.
    pub folder: PathBuf,
    /// What is sent; without it the files of a folder as they are, and CIFAR-10 as PNG.
    pub encoding: Option<Encoding>,
    /// The most bytes that they may take together, as they are sent.
    pub limit: u64,
}

/// Which of the images, and in which order.
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

impl Dataset {
    /// Reads and encodes images. The order of all is shuffled by the seed and is the same for all producers; producer i
    /// of N begins at i/N of it, so that they do not send the same images at the same time, and goes round.
    ///
    /// # Errors
    /// A [`DatasetError`] that names the file.
    pub fn load(images: &Images, selection: Selection) -> Result<Self, DatasetError> {
        let begun = Instant::now();
        let Images { source, folder, encoding, limit } = images;
        let mut memory = Memory { folder, limit: *limit, taken: 0 };
        let pictures = match source {
            DatasetSource::Cifar10Test => {
                cifar10::pictures(folder, encoding.unwrap_or(Encoding::Png), &mut memory, selection)?
            }
            DatasetSource::Folder => files::pictures(folder, *encoding, &mut memory, selection)?,
        };
        let (count, bytes, millis) = (pictures.len(), memory.taken, begun.elapsed().as_millis());
        tracing::info!(images = count, bytes, millis, "images are encoded");
        Ok(Self(pictures))
    }

    /// The image to be sent as number `sequence`, from 0.
    pub fn picture(&self, sequence: u64) -> &Picture {
        &self.0[(sequence % self.0.len() as u64) as usize]
    }
}

impl Selection {
    /// Which of so many images are sent, in their order.
    fn order(self, images: usize) -> Vec<usize> {
        let Self { seed, index, producers, wanted } = self;
        let mut order: Vec<usize> = (0..images).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let first = (images as u64 * u64::from(index) / u64::from(producers.max(1))) as usize % images;
        order.rotate_left(first);
        let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok()).unwrap_or(images);
        order.truncate(wanted.max(1));
        order
    }
}

/// What the images take, which is bounded.
struct Memory<'a> {
    folder: &'a Path,
    limit: u64,
    taken: u64,
}

impl Memory<'_> {
    /// The image of the file `path`, if there is room for it, in no more memory than it needs.
    fn keep(
        &mut self,
        path: &Path,
        bytes: &[u8],
        content_type: &'static str,
        label: Option<Arc<str>>,
    ) -> Result<Picture, DatasetError> {
        if bytes.len() > MOST_RECORD_BYTES {
            let (path, bytes, most) = (path.to_owned(), bytes.len(), MOST_RECORD_BYTES);
            return Err(DatasetError::LargeRecord { path, bytes, most });
        }
        self.taken += bytes.len() as u64;
        if self.taken > self.limit {
            return Err(DatasetError::TooManyBytes { folder: self.folder.to_owned(), limit: self.limit });
        }
        Ok(Picture { bytes: bytes.into(), content_type, label })
    }
}

#[cfg(test)]
mod tests;
