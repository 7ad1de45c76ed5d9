//! What the threads behind a queue are to be: one a core, each with images of its own, or a single one that shares its
//! images out over all cores. `bench/pipeline` prints both.
//!
//! `threads MODEL` prints a line of JSON for each design: how long one image that comes alone takes from the queue to
//! its label, and the images a second where enough of them wait, taken one by one and eight by eight.

use std::{
    path::Path,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::json;
use tailrace_classifier::{Classification, Classifier, ClassifyError, Pixels, RAW_BYTES};

/// Of one design and batch.
const BUSY: Duration = Duration::from_millis(600);
/// Images alone, and the time between two of them.
const ALONE: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Clone, Copy)]
enum Design {
    OneACore,
    AllCores,
}

impl Design {
    fn name(self) -> &'static str {
        match self {
            Self::OneACore => "one thread a core",
            Self::AllCores => "one thread that uses all cores",
        }
    }

    fn threads(self) -> usize {
        match self {
            Self::OneACore => Classifier::threads(),
            Self::AllCores => 1,
        }
    }

    fn classify(self, classifier: &Classifier, images: &[Pixels]) -> Result<Vec<Classification>, ClassifyError> {
        match self {
            Self::OneACore => classifier.classify(images),
            Self::AllCores => classifier.classify_on_all_cores(images),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let model = std::env::args().nth(1).context("usage: threads MODEL")?;
    let classifier = Classifier::load(Path::new(&model))?;
    let images = images()?;
    for design in [Design::OneACore, Design::AllCores] {
        images_a_second(design, &classifier, &images, 8)?;
        let alone = alone(design, &classifier, &images)?;
        let one = images_a_second(design, &classifier, &images, 1)?;
        let eight = images_a_second(design, &classifier, &images, 8)?;
        let rates = json!({"1": one, "8": eight});
        println!("{}", json!({"design": design.name(), "aloneMicros": alone * 1e6, "imagesPerSecond": rates}));
    }
    Ok(())
}

/// Images of which no two are the same.
fn images() -> anyhow::Result<Vec<Pixels>> {
    let image = |number: usize| (0..RAW_BYTES).map(|place| (place * (2 * number + 7) % 251) as u8).collect::<Vec<_>>();
    Ok((0..64).map(|number| Pixels::from_rgb(&image(number))).collect::<Result<_, _>>()?)
}

/// Seconds from the queue to the label of an image that comes alone to a thread that waits for it, in the middle of
/// many.
fn alone(design: Design, classifier: &Classifier, images: &[Pixels]) -> anyhow::Result<f64> {
    thread::scope(|scope| {
        let (queue, taken) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        scope.spawn(move || answer_each(design, classifier, &taken, &answer));
        let mut seconds = Vec::new();
        for image in images.iter().cycle().take(ALONE) {
            thread::sleep(PAUSE);
            let begun = Instant::now();
            queue.send(image.clone())?;
            answers.recv()??;
            seconds.push(begun.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        Ok(seconds[seconds.len() / 2])
    })
}

fn answer_each(
    design: Design,
    classifier: &Classifier,
    images: &Receiver<Pixels>,
    answers: &Sender<Result<Vec<Classification>, ClassifyError>>,
) {
    for image in images {
        if answers.send(design.classify(classifier, &[image])).is_err() {
            return;
        }
    }
}

/// What all threads of a design get done while enough images wait for each of them.
fn images_a_second(design: Design, classifier: &Classifier, images: &[Pixels], batch: usize) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let busy = || -> anyhow::Result<usize> {
        let mut classified = 0;
        for batch in images.chunks_exact(batch).cycle() {
            if begun.elapsed() >= BUSY {
                break;
            }
            classified += design.classify(classifier, batch)?.len();
        }
        Ok(classified)
    };
    let classified = thread::scope(|scope| {
        let threads: Vec<_> = (0..design.threads()).map(|_| scope.spawn(busy)).collect();
        let joined =
            threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?);
        joined.sum::<anyhow::Result<usize>>()
    })?;
    Ok(classified as f64 / begun.elapsed().as_secs_f64())
}
