//! `tailrace-worker evaluate` on a test set made of the sample beside the model.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tailrace_classifier::CIFAR_10;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// The 40 images of the sample in the form of the whole set.
fn test_set() -> tempfile::TempDir {
    let mut files: Vec<_> =
        std::fs::read_dir(models().join("sample")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let class = |file: &Path| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        CIFAR_10.iter().position(|class| name.ends_with(class)).unwrap()
    };
    let classes: Vec<usize> = files.iter().map(|file| class(file)).collect();
    let pixels: Vec<u8> = files.iter().flat_map(|file| image::open(file).unwrap().into_rgb8().into_raw()).collect();
    let folder = tempfile::tempdir().unwrap();
    let (picture, rgb) = (folder.path().join("test_batch.png"), image::ExtendedColorType::Rgb8);
    image::save_buffer(picture, &pixels, 1024, files.len() as u32, rgb).unwrap();
    std::fs::write(folder.path().join("test_lables.json"), serde_json::to_vec(&classes).unwrap()).unwrap();
    folder
}

fn evaluate(arguments: &[&str]) -> Output {
    let folder = test_set();
    let mut worker = Command::new(env!("CARGO_BIN_EXE_tailrace-worker"));
    worker.arg("evaluate").arg("--dataset").arg(folder.path()).args(arguments);
    worker.arg("--model").arg(models().join("resnet20.safetensors")).output().unwrap()
}

/// The share and the number of right answers.
fn accuracy(arguments: &[&str]) -> (f64, usize) {
    let output = evaluate(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let [first, second]: [&str; 2] = printed.lines().collect::<Vec<_>>().try_into().unwrap();
    assert!(second.contains(" images/s on ") && second.contains(" thread"), "{second}");
    let (share, right) = first.strip_prefix("accuracy ").unwrap().split_once(' ').unwrap();
    let right = right.strip_prefix('(').unwrap().strip_suffix("/40)").unwrap();
    (share.parse().unwrap(), right.parse().unwrap())
}

fn refusal(arguments: &[&str]) -> String {
    let output = evaluate(arguments);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_share_of_right_answers_is_printed() {
    let (share, right) = accuracy(&[]);
    assert!(right >= 34, "{right} of 40");
    assert!((share - right as f64 / 40.0).abs() < 1e-4);
}

#[test]
fn images_can_be_jpeg_before() {
    let (_, good) = accuracy(&["--jpeg-quality", "75"]);
    let (_, bad) = accuracy(&["--jpeg-quality", "1"]);
    assert!(good >= 30 && bad < good, "{good} and {bad} of 40");
}

#[test]
fn what_the_file_says_of_itself_can_be_overridden() {
    let exchanged = "automobile,airplane,bird,cat,deer,dog,frog,horse,ship,truck";
    let (_, right) = accuracy(&[]);
    assert!(accuracy(&["--labels", exchanged]).1 < right);
    assert!(accuracy(&["--mean", "1,1,1", "--std", "1,1,1"]).1 < right);
    assert!(accuracy(&["--max-pool"]).1 < right / 2);
    assert_eq!(accuracy(&["--max-pool=false"]).1, right);
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let no_classes = "a,b,c,d,e,f,g,h,i,j";
    assert!(refusal(&["--labels", no_classes]).contains("knows no class of CIFAR-10, only a, b, c"));
    assert!(refusal(&["--labels", "cat,dog"]).contains("labels must be 10 names"));
    assert!(refusal(&["--std", "0,1,1"]).contains("std must be three numbers above 0"));
    assert!(refusal(&["--mean", "0.5"]).contains("write three numbers for red, green and blue"));
}
