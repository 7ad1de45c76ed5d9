//! The test set of CIFAR-10: a PNG file with an image a row, and their classes.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use image::RgbImage;
use png::{BitDepth, ColorType, Decoder, DecodingError, Reader};
use tailrace_classifier::{CIFAR_10, RAW_BYTES, SIDE};

/// Where the worker's image has it.
pub const FOLDER: &str = "/usr/share/tailrace/cifar10-test";

/// Images with their classes. They are read one by one, in the order of the file: all pixels together are 31 MB.
pub struct TestSet {
    path: PathBuf,
    pictures: Reader<BufReader<File>>,
    classes: Vec<usize>,
}

/// The images cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TestSetError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; give the folder of the CIFAR-10 test set with --dataset")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The pictures are no PNG file.
    #[error("cannot decode {path}: {source}")]
    Pictures {
        /// The file.
        path: PathBuf,
        /// Why.
        source: DecodingError,
    },
    /// The labels are no list of numbers.
    #[error("{path} is no JSON list of class numbers: {source}")]
    Labels {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The files do not belong together.
    #[error("{0}: the test set has one image a row of 1024 RGB pixels, and one class from 0 to 9 for each")]
    Shape(String),
}

impl TestSet {
    /// Opens `test_batch.png` and reads `test_lables.json` of a folder.
    ///
    /// # Errors
    /// A [`TestSetError`] that names the file.
    pub fn open(folder: &Path) -> Result<Self, TestSetError> {
        let classes = read_classes(&folder.join("test_lables.json"))?;
        if let Some(number) = classes.iter().find(|class| **class >= CIFAR_10.len()) {
            return Err(TestSetError::Shape(format!("{number} is no class")));
        }
        let path = folder.join("test_batch.png");
        let pictures = open_pictures(&path, classes.len())?;
        Ok(Self { path, pictures, classes })
    }

    /// How many images there are, at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an empty set is refused")]
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// What an image shows.
    #[must_use]
    pub fn label(&self, number: usize) -> &'static str {
        CIFAR_10[self.classes[number]]
    }

    /// The next image, from the first one on; none after the last.
    ///
    /// # Errors
    /// A [`TestSetError`] that names the file.
    pub fn next_image(&mut self) -> Result<Option<RgbImage>, TestSetError> {
        let mut pixels = vec![0; RAW_BYTES];
        let read = self.pictures.read_row(&mut pixels);
        let read = read.map_err(|source| TestSetError::Pictures { path: self.path.clone(), source })?;
        Ok(read.and_then(|_| RgbImage::from_raw(SIDE as u32, SIDE as u32, pixels)))
    }
}

fn open(path: &Path) -> Result<BufReader<File>, TestSetError> {
    let file = File::open(path).map_err(|source| TestSetError::Read { path: path.to_owned(), source })?;
    Ok(BufReader::new(file))
}

fn read_classes(path: &Path) -> Result<Vec<usize>, TestSetError> {
    let classes: Vec<usize> = serde_json::from_reader(open(path)?)
        .map_err(|source| TestSetError::Labels { path: path.to_owned(), source })?;
    if classes.is_empty() {
        return Err(TestSetError::Shape("there are no labels".into()));
    }
    Ok(classes)
}

fn open_pictures(path: &Path, images: usize) -> Result<Reader<BufReader<File>>, TestSetError> {
    let opened = Decoder::new(open(path)?).read_info();
    let pictures = opened.map_err(|source| TestSetError::Pictures { path: path.to_owned(), source })?;
    let info = pictures.info();
    let (width, height) = (info.width as usize, info.height as usize);
    let kind = (info.color_type, info.bit_depth, info.interlaced);
    if width != SIDE * SIDE || height != images || kind != (ColorType::Rgb, BitDepth::Eight, false) {
        let interlaced = if info.interlaced { ", interlaced" } else { "" };
        return Err(TestSetError::Shape(format!(
            "{} has {width} x {height} pixels of {:?} with {:?} bits{interlaced}, and there are {images} labels",
            path.display(),
            info.color_type,
            info.bit_depth,
        )));
    }
    Ok(pictures)
}
