//! Which images, on the command line.

use std::path::PathBuf;

use clap::ValueEnum;

use super::Images;
use crate::{encoding::Encoding, test_set};

/// The quality of a JPEG file where none is given.
const JPEG_QUALITY: u8 = 75;

/// The images that are sent.
#[derive(clap::Args, Clone, Debug)]
pub struct DatasetArgs {
    /// Where the images come from.
    #[arg(long, env = "TAILRACE_DATASET_SOURCE", default_value = "cifar10-test")]
    pub dataset_source: DatasetSource,
    /// The folder with the images. For `cifar10-test` it has test_batch.png, and the classes, test_lables.json; by
    /// default /usr/share/tailrace/cifar10-test.
    #[arg(long, env = "TAILRACE_DATASET")]
    pub dataset: Option<PathBuf>,
    /// The most bytes that the images may take together, as they are sent.
    #[arg(long, env = "TAILRACE_DATASET_LIMIT", default_value_t = 256 << 20)]
    pub dataset_limit: u64,
    /// What is sent of an image; without it the files of a folder are sent as they are, and CIFAR-10 as PNG.
    #[arg(long, env = "TAILRACE_ENCODING")]
    pub encoding: Option<EncodingName>,
    /// The quality of JPEG files, from 1 to 100; by default 75.
    #[arg(long, env = "TAILRACE_JPEG_QUALITY", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub jpeg_quality: Option<u8>,
}

/// Where the images come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DatasetSource {
    /// The test set of CIFAR-10.
    Cifar10Test,
    /// One's own PNG or JPEG files. The first folder below is the label of an image; those at the top have none.
    Folder,
}

/// What is sent of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EncodingName {
    /// A PNG file.
    Png,
    /// A JPEG file with 4:2:0 chroma.
    Jpeg,
    /// 32 x 32 pixels, RGB: 3072 bytes.
    Raw,
}

/// The command line names no images that could be sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoImages {
    /// A folder of one's own has no default.
    #[error("--dataset-source folder needs the folder with the images: write it with --dataset")]
    Folder,
    /// Only JPEG files have a quality.
    #[error("--jpeg-quality is for JPEG files alone: write --encoding jpeg, or leave --jpeg-quality out")]
    Quality,
}

impl DatasetArgs {
    /// Which images are to be sent, and as what.
    ///
    /// # Errors
    /// [`NoImages`] says what to write instead.
    pub fn images(&self) -> Result<Images, NoImages> {
        let (source, limit) = (self.dataset_source, self.dataset_limit);
        let folder = match (source, self.dataset.clone()) {
            (_, Some(folder)) => folder,
            (DatasetSource::Cifar10Test, None) => test_set::FOLDER.into(),
            (DatasetSource::Folder, None) => return Err(NoImages::Folder),
        };
        Ok(Images { source, folder, encoding: self.encoding()?, limit })
    }

    fn encoding(&self) -> Result<Option<Encoding>, NoImages> {
        match (self.encoding, self.jpeg_quality) {
            (Some(EncodingName::Jpeg), quality) => {
                Ok(Some(Encoding::Jpeg { quality: quality.unwrap_or(JPEG_QUALITY) }))
            }
            (_, Some(_)) => Err(NoImages::Quality),
            (Some(EncodingName::Png), None) => Ok(Some(Encoding::Png)),
            (Some(EncodingName::Raw), None) => Ok(Some(Encoding::Raw)),
            (None, None) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: DatasetArgs,
    }

    fn images(line: &str) -> Result<Images, NoImages> {
        let words = ["producer"].into_iter().chain(line.split_whitespace());
        CommandLine::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).args.images()
    }

    #[test]
    fn without_any_flag_the_test_set_is_sent_from_where_the_workers_image_has_it() {
        let expected = Images {
            source: DatasetSource::Cifar10Test,
            folder: "/usr/share/tailrace/cifar10-test".into(),
            encoding: None,
            limit: 256 << 20,
        };
        assert_eq!(images(""), Ok(expected));
    }

    #[test]
    fn a_folder_of_ones_own_has_to_be_named() {
        assert_eq!(images("--dataset-source folder"), Err(NoImages::Folder));
        let named = images("--dataset-source folder --dataset photos").unwrap();
        assert_eq!((named.source, named.folder), (DatasetSource::Folder, "photos".into()));
    }

    #[test]
    fn only_jpeg_has_a_quality() {
        let encoding = |line| images(line).map(|images| images.encoding);
        assert_eq!(encoding("--encoding jpeg"), Ok(Some(Encoding::Jpeg { quality: 75 })));
        assert_eq!(encoding("--encoding jpeg --jpeg-quality 40"), Ok(Some(Encoding::Jpeg { quality: 40 })));
        assert_eq!(encoding("--encoding raw"), Ok(Some(Encoding::Raw)));
        for line in ["--jpeg-quality 40", "--encoding png --jpeg-quality 40"] {
            assert_eq!(encoding(line), Err(NoImages::Quality), "{line}");
        }
    }
}
