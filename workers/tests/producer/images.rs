//! Which images are sent, as what, and what is known of them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use image::{DynamicImage, ExtendedColorType, ImageFormat, RgbImage};
use rand::{Rng, SeedableRng, rngs::ChaCha8Rng};
use rdkafka::Message;
use tailrace_wire::{ImageEvent, JPEG, PNG, RAW};
use tempfile::TempDir;

use crate::{
    echo::{Behaviour, CLASSES, Echo, Reply},
    measured::{Measured, command_line},
    support::{Pipeline, Worker},
};

const ANSWERED: Behaviour = Behaviour { delay: |_| Duration::ZERO, stall: None, replies: |_| vec![Reply::Right] };
const SOON: Duration = Duration::from_secs(40);
/// Forty images, each once.
const FORTY: &str = "--rate 40 --warmup 0s --duration 1s";
const FOLDER: &str = "--dataset-source folder";

/// The forty images of CIFAR-10 beside the model, with their labels.
fn sample() -> Vec<(PathBuf, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/sample");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "png"));
    files.sort();
    let label = |file: &Path| file.file_stem().unwrap().to_str().unwrap().split_once('-').unwrap().1.to_owned();
    files.into_iter().map(|file| (file.clone(), label(&file))).collect()
}

/// The sample in the form of CIFAR-10's test set.
fn test_set() -> TempDir {
    let sample = sample();
    let class = |label: &str| CLASSES.iter().position(|class| *class == label).unwrap();
    let classes: Vec<usize> = sample.iter().map(|(_, label)| class(label)).collect();
    let pixels: Vec<u8> =
        sample.iter().flat_map(|(file, _)| image::open(file).unwrap().into_rgb8().into_raw()).collect();
    let folder = tempfile::tempdir().unwrap();
    let height = sample.len() as u32;
    image::save_buffer(folder.path().join("test_batch.png"), &pixels, 1024, height, ExtendedColorType::Rgb8).unwrap();
    fs::write(folder.path().join("test_lables.json"), serde_json::to_vec(&classes).unwrap()).unwrap();
    folder
}

/// The sample as files, those of a label in a folder of its name.
fn folders() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, label) in sample() {
        fs::create_dir_all(folder.path().join(&label)).unwrap();
        fs::copy(&file, folder.path().join(label).join(file.file_name().unwrap())).unwrap();
    }
    folder
}

/// An image of one colour, whose value modulo 10 is the class that the stand-in for the classifier answers.
fn coloured(folder: &Path, path: &str, value: u8) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    DynamicImage::from(RgbImage::from_pixel(40, 40, image::Rgb([value; 3])))
        .save_with_format(path, ImageFormat::Png)
        .unwrap();
}

/// What was sent, by source and number: content type and bytes.
fn sent(pipeline: &Pipeline, images: usize) -> BTreeMap<String, BTreeMap<u64, (String, Vec<u8>)>> {
    let mut sent: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for record in pipeline.read(&pipeline.images(), SOON, |records| records.len() >= images) {
        let event = ImageEvent::from_headers(record.headers().unwrap()).unwrap();
        let content = (event.content_type, record.payload().unwrap().to_vec());
        sent.entry(event.source).or_default().insert(event.id.parse().unwrap(), content);
    }
    sent
}

#[test]
fn images_are_classified_as_well_in_every_encoding_and_from_a_folder() {
    let pipeline = Pipeline::new("encodings", 2);
    let mut classifier = pipeline.start_classifier();
    classifier.wait_until_ready();
    let (test_set, folders) = (test_set(), folders());
    let accuracy = |folder: &Path, flags: &str| {
        let measured = Measured::run_on(&pipeline, folder, &format!("{FORTY} {flags}"));
        assert_eq!((measured.count("received"), measured.count("answerErrors")), (40, 0), "{flags}");
        measured.accuracy().unwrap()
    };
    let as_png = accuracy(test_set.path(), "");
    assert!(as_png >= 85.0, "{as_png} %");
    for (folder, flags) in [
        (&test_set, "--encoding png"),
        (&test_set, "--encoding raw"),
        (&folders, FOLDER),
        (&folders, "--dataset-source folder --encoding raw"),
    ] {
        assert_eq!(accuracy(folder.path(), flags), as_png, "{flags} has the same pixels");
    }
    for (folder, flags) in [
        (&test_set, "--encoding jpeg --jpeg-quality 90"),
        (&folders, "--dataset-source folder --encoding jpeg --jpeg-quality 90"),
    ] {
        let as_jpeg = accuracy(folder.path(), flags);
        assert!((as_jpeg - as_png).abs() <= 7.5, "{flags}: {as_jpeg} % instead of {as_png} %");
    }

    let types = |expected| {
        let types =
            sent(&pipeline, 280).into_values().filter(|images| images.values().all(|(found, _)| found == expected));
        types.count()
    };
    assert_eq!((types(PNG), types(RAW), types(JPEG)), (3, 2, 2), "each run has one content type");
}

#[test]
fn the_same_seed_sends_the_same_images() {
    let pipeline = Pipeline::new("seeds", 1);
    let _echo = Echo::start(&pipeline, ANSWERED);
    let folder = tempfile::tempdir().unwrap();
    (0..40)
        .for_each(|value| coloured(folder.path(), &format!("{}/{value}.png", CLASSES[usize::from(value % 10)]), value));
    for (source, seed) in [("first", 7), ("second", 7), ("third", 8)] {
        Measured::run_on(&pipeline, folder.path(), &format!("{FORTY} {FOLDER} --seed {seed} --source {source}"));
    }
    let sent = sent(&pipeline, 120);
    assert_eq!(sent["first"].len(), 40);
    assert!(sent["first"] == sent["second"], "the same seed");
    assert!(sent["first"] != sent["third"], "another seed");
}

#[test]
fn folders_are_labels_and_images_at_the_top_do_not_count_for_the_accuracy() {
    let pipeline = Pipeline::new("labels", 1);
    let _echo = Echo::start(&pipeline, ANSWERED);
    let folder = tempfile::tempdir().unwrap();
    let run = || Measured::run_on(&pipeline, folder.path(), &format!("{FORTY} {FOLDER}"));

    (0..20).for_each(|value| coloured(folder.path(), &format!("{value}.png"), value));
    let unlabelled = run();
    assert_eq!((unlabelled.accuracy(), unlabelled.invalid()), (None, None));
    assert_eq!(unlabelled.count("received"), 40);
    assert!(unlabelled.latency("p50").is_some(), "an answer that nobody can judge has a latency");

    (0..10).for_each(|value| coloured(folder.path(), &format!("{}/{value}.png", CLASSES[usize::from(value)]), value));
    (0..10).for_each(|value| coloured(folder.path(), &format!("kangaroo/{value}.png"), value));
    assert_eq!(run().accuracy(), Some(50.0), "half of those with a label");
}

#[test]
fn a_file_that_cannot_be_sent_ends_it_before_it_is_ready() {
    let pipeline = Pipeline::new("unreadable", 1);
    let folder = tempfile::tempdir().unwrap();
    coloured(folder.path(), "cat/0.png", 3);
    fs::write(folder.path().join("cat/1.png"), b"\x89PNG\r\n\x1a\n and no more").unwrap();
    let flags = format!("{FORTY} {FOLDER}");
    let ended = Worker::run(&command_line(&pipeline, folder.path(), &flags), &[]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(
        ended.output.contains("cat/1.png cannot be sent: the bytes are not a readable image/png"),
        "{}",
        ended.output
    );
    assert!(pipeline.read(&pipeline.images(), SOON, |_| true).is_empty(), "nothing was sent");
}

/// As many images as CIFAR-10's test set has, of pixels that no encoder makes smaller.
fn noise() -> TempDir {
    const IMAGES: u32 = 10_000;
    let seed = rand::random();
    println!("seed {seed}");
    let mut pixels = vec![0; IMAGES as usize * 3072];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut pixels);
    let folder = tempfile::tempdir().unwrap();
    image::save_buffer(folder.path().join("test_batch.png"), &pixels, 1024, IMAGES, ExtendedColorType::Rgb8).unwrap();
    fs::write(folder.path().join("test_lables.json"), serde_json::to_vec(&vec![0; IMAGES as usize]).unwrap()).unwrap();
    folder
}

/// The most memory that a process has had at once, in MB; none when it is over.
fn peak_memory(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().unwrap() * 1_024.0 / 1e6)
}

#[test]
fn a_producer_of_ten_thousand_images_stays_under_64_megabytes() {
    let pipeline = Pipeline::new("memory", 2);
    let _echo = Echo::start(&pipeline, ANSWERED);
    let noise = noise();
    for encoding in ["png", "raw", "jpeg"] {
        // A closed load may come to need every image.
        let flags = format!("--load closed --outstanding 4 --warmup 0s --duration 3s --encoding {encoding}");
        let mut producer = Worker::start(&command_line(&pipeline, noise.path(), &flags), &[]);
        let mut peak = 0.0;
        while producer.process.is_running() {
            peak = peak_memory(producer.process.id()).unwrap_or(peak);
            std::thread::sleep(Duration::from_millis(20));
        }
        println!("{encoding}: {peak:.1} MB");
        assert!(producer.process.log().contains("images are encoded images=10000"), "{}", producer.process.log());
        assert!((10.0..64.0).contains(&peak), "{encoding}: {peak:.1} MB");
    }
}
