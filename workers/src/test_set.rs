//! The test set of CIFAR-10: a PNG file with an image a row, and their classes.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use image::{ColorType, ImageError, ImageFormat, ImageReader};
use tailrace_classifier::{CIFAR_10, RAW_BYTES, SIDE};

/// Where the worker's image has it.
pub const FOLDER: &str = "/usr/share/tailrace/cifar10-test";

/// Images with their classes, in the order of the file.
#[derive(Debug)]
pub struct TestSet {
    pixels: Vec<u8>,
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
        source: ImageError,
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
    /// Reads `test_batch.png` and `test_lables.json` of a folder.
    ///
    /// # Errors
    /// A [`TestSetError`] that names the file.
    pub fn read(folder: &Path) -> Result<Self, TestSetError> {
        let classes = read_classes(&folder.join("test_lables.json"))?;
        let pixels = read_pixels(&folder.join("test_batch.png"), classes.len())?;
        match classes.iter().find(|class| **class >= CIFAR_10.len()) {
            Some(number) => Err(TestSetError::Shape(format!("{number} is no class"))),
            None => Ok(Self { pixels, classes }),
        }
    }

    /// How many images there are, at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an empty set is refused")]
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// The pixels of an image: 32 rows of 32, each as red, green, blue.
    #[must_use]
    pub fn rgb(&self, number: usize) -> &[u8] {
        &self.pixels[number * RAW_BYTES..][..RAW_BYTES]
    }

    /// What an image shows.
    #[must_use]
    pub fn label(&self, number: usize) -> &'static str {
        CIFAR_10[self.classes[number]]
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

fn read_pixels(path: &Path, images: usize) -> Result<Vec<u8>, TestSetError> {
    let decoded = ImageReader::with_format(open(path)?, ImageFormat::Png).decode();
    let picture = decoded.map_err(|source| TestSetError::Pictures { path: path.to_owned(), source })?;
    let (width, height, colour) = (picture.width() as usize, picture.height() as usize, picture.color());
    if width != SIDE * SIDE || height != images || colour != ColorType::Rgb8 {
        return Err(TestSetError::Shape(format!(
            "{} has {width} x {height} pixels of {colour:?}, and there are {images} labels",
            path.display()
        )));
    }
    Ok(picture.into_bytes())
}
