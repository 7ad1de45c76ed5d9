//! The images of a test, in words.

use crate::{
    encoding::Encoding,
    producer::{DatasetSource, TestArgs},
};

/// As they were sent, what the command line leaves to its defaults included.
///
/// # Errors
/// The command line names no images.
pub fn in_words(args: &TestArgs) -> anyhow::Result<String> {
    let images = args.dataset.images()?;
    let (source, as_they_are) = match images.source {
        DatasetSource::Cifar10Test => ("CIFAR-10 test set".to_owned(), "PNG"),
        DatasetSource::Folder => (format!("folder {}", images.folder.display()), "as its files are"),
    };
    let encoding = match images.encoding {
        None => as_they_are.to_owned(),
        Some(Encoding::Png) => "PNG".to_owned(),
        Some(Encoding::Jpeg { quality }) => format!("JPEG of quality {quality}"),
        Some(Encoding::Raw) => "raw pixels".to_owned(),
    };
    Ok(format!("{source}, {encoding}, seed {}", args.seed))
}
