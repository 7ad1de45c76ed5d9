//! Measures a model on the CIFAR-10 test set: how many images it knows, and how many it classifies a second.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::ensure;
use image::DynamicImage;
use tailrace_classifier::{CIFAR_10, Classification, Classifier, Pixels, decode};

use crate::{
    encoding::Encoding,
    model::ModelArgs,
    test_set::{self, TestSet},
};

/// The command line of `evaluate`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The network.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The folder with the images, test_batch.png, and their classes, test_lables.json.
    #[arg(long, env = "TAILRACE_DATASET", default_value = test_set::FOLDER)]
    pub dataset: PathBuf,
    /// Encodes each image as JPEG of this quality with 4:2:0 chroma, from 1 to 100, and decodes it before.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub jpeg_quality: Option<u8>,
}

/// Classifies all images on all cores and prints the share of right answers, and the rate. Reading and encoding are not
/// part of the time.
///
/// # Errors
/// When the model or the images cannot be loaded, or a computation fails.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let classifier = args.model.load()?;
    let labels = classifier.model().labels();
    ensure!(
        labels.iter().any(|label| CIFAR_10.contains(&&**label)),
        "the model knows no class of CIFAR-10, only {}: give its labels with --labels, from among {}",
        labels.join(", "),
        CIFAR_10.join(", ")
    );
    let mut set = TestSet::open(&args.dataset)?;
    let mut images = Vec::with_capacity(set.len());
    while let Some(image) = set.next_image()? {
        images.push(pixels(image.into(), args.jpeg_quality)?);
    }

    let begun = Instant::now();
    let answers = classifier.classify_on_all_cores(&images)?;
    println!("{}", report(&set, &answers, begun.elapsed()));
    Ok(())
}

fn pixels(image: DynamicImage, jpeg_quality: Option<u8>) -> anyhow::Result<Pixels> {
    let encoding = jpeg_quality.map_or(Encoding::Raw, |quality| Encoding::Jpeg { quality });
    Ok(decode(encoding.content_type(), &encoding.encode(image)?)?)
}

fn report(set: &TestSet, answers: &[Classification], took: Duration) -> String {
    let right = (0..set.len()).filter(|number| *answers[*number].label == *set.label(*number)).count();
    let (images, seconds) = (set.len() as f64, took.as_secs_f64());
    let threads = Classifier::threads();
    let plural = if threads == 1 { "" } else { "s" };
    format!(
        "accuracy {:.4} ({right}/{})\n{:.0} images/s on {threads} thread{plural}",
        right as f64 / images,
        set.len(),
        images / seconds
    )
}
