//! How long one image takes: a PNG file decoded and classified by the thread that has it. `bench/pipeline` adds it to
//! the hops of Kafka.
//!
//! `one_image MODEL FOLDER` prints microseconds as JSON, medians over the PNG files of the folder: twenty a second, as
//! in the measurement of the latency, and one right after the other.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::json;
use tailrace_classifier::{Classifier, decode};

const PACE: Duration = Duration::from_millis(50);

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (model, folder) = arguments.next().zip(arguments.next()).context("usage: one_image MODEL FOLDER")?;
    let classifier = Classifier::load(Path::new(&model))?;
    let files = png_files(Path::new(&folder))?;
    one_by_one(&classifier, &files, 200, Duration::ZERO)?;
    let without_pause = one_by_one(&classifier, &files, 1000, Duration::ZERO)?;
    let paced = one_by_one(&classifier, &files, 100, PACE)?;
    println!("{}", json!({"pacedMicros": paced * 1e6, "withoutPauseMicros": without_pause * 1e6}));
    Ok(())
}

fn png_files(folder: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "png") {
            files.push(fs::read(&path)?);
        }
    }
    ensure!(!files.is_empty(), "no PNG files in {}", folder.display());
    Ok(files)
}

/// Seconds from the bytes of a file to its label, in the middle of `count`.
fn one_by_one(classifier: &Classifier, files: &[Vec<u8>], count: usize, pause: Duration) -> anyhow::Result<f64> {
    let mut seconds = Vec::new();
    for file in files.iter().cycle().take(count) {
        thread::sleep(pause);
        let begun = Instant::now();
        classifier.classify(&[decode("image/png", file)?])?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}
