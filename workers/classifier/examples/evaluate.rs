//! Share of right answers and images a second on the CIFAR-10 test set, on one thread.
//!
//! `cargo run --release -p tailrace-classifier --example evaluate -- --dataset DIR`
//!
//! DIR is what `images/cifar10-test DIR` fetches: `test_batch.png` has an image a row, `test_lables.json` the classes.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use image::ImageReader;
use tailrace_classifier::{Classifier, Pixels, RAW_BYTES};

#[derive(Parser)]
struct Arguments {
    /// Folder with test_batch.png and test_lables.json.
    #[arg(long)]
    dataset: PathBuf,
    #[arg(long, default_value = "models/resnet20.safetensors")]
    model: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let classifier = Classifier::load(&arguments.model)?;
    let (images, labels) = test_set(&arguments.dataset)?;
    let start = Instant::now();
    let answers = classifier.classify(&images)?;
    let seconds = start.elapsed().as_secs_f64();
    let right = answers.iter().zip(&labels).filter(|(answer, label)| answer.index == **label).count();
    let count = images.len() as f64;
    println!("model {} sha256 {}", classifier.model().name(), classifier.model().sha256());
    println!("accuracy {:.4} ({right}/{})", right as f64 / count, images.len());
    println!("{:.0} images/s, {:.3} ms an image", count / seconds, 1000.0 * seconds / count);
    Ok(())
}

fn test_set(folder: &Path) -> anyhow::Result<(Vec<Pixels>, Vec<usize>)> {
    let file = folder.join("test_batch.png");
    let rows = ImageReader::open(&file).with_context(|| file.display().to_string())?.decode()?.into_rgb8();
    let images = rows.as_raw().chunks(RAW_BYTES).map(Pixels::from_rgb).collect::<Result<Vec<_>, _>>()?;
    let file = folder.join("test_lables.json");
    let labels = std::fs::read(&file).with_context(|| file.display().to_string())?;
    let labels: Vec<usize> = serde_json::from_slice(&labels)?;
    ensure!(images.len() == labels.len(), "{} images, but {} labels", images.len(), labels.len());
    Ok((images, labels))
}
