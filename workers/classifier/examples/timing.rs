//! Times the classifier at the request of another program: `bench/classifier` runs it beside ONNX Runtime.
//!
//! `timing MODEL` prints its instruction set and the seconds from the start of loading to the first answer. For each
//! line `BATCH CALLS THREADS` that it then reads it classifies a batch so many times, on one thread or on all cores,
//! and prints the seconds of the middle call and of the fastest.

use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use tailrace_classifier::{Classifier, InstructionSet, Pixels, RAW_BYTES};

fn main() -> anyhow::Result<()> {
    let model = std::env::args().nth(1).context("usage: timing MODEL")?;
    let started = Instant::now();
    let classifier = Classifier::load(Path::new(&model))?;
    classifier.classify(&images(1)?)?;
    let seconds = started.elapsed().as_secs_f64();
    answer(&format!("{} {seconds}", InstructionSet::in_use()?))?;
    for line in stdin().lock().lines() {
        let line = line?;
        let numbers = line.split_whitespace().map(str::parse).collect::<Result<Vec<usize>, _>>()?;
        let [batch, calls, threads] = *numbers else { anyhow::bail!("{line:?} is not BATCH CALLS THREADS") };
        ensure!(calls > 0, "no calls");
        let images = images(batch)?;
        let mut seconds = Vec::new();
        for _ in 0..calls {
            let started = Instant::now();
            if threads == 1 {
                classifier.classify(&images)?
            } else {
                classifier.classify_on_all_cores(&images)?
            };
            seconds.push(started.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        answer(&format!("{} {}", seconds[calls / 2], seconds[0]))?;
    }
    Ok(())
}

/// Images of which no two are the same.
fn images(count: usize) -> anyhow::Result<Vec<Pixels>> {
    let image = |number: usize| (0..RAW_BYTES).map(|place| (place * (2 * number + 7) % 251) as u8).collect::<Vec<_>>();
    Ok((0..count).map(|number| Pixels::from_rgb(&image(number))).collect::<Result<_, _>>()?)
}

fn answer(line: &str) -> anyhow::Result<()> {
    let mut output = stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}
