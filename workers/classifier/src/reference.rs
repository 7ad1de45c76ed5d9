//! The same network written with candle-nn as anybody would, slow and plain, and what tests need around it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{Conv2dConfig, Module, ModuleT, VarBuilder};

use crate::{Classifier, Pixels, decode};

/// Channels of the three stages of [`small_network`].
const WIDTHS: [usize; 3] = [4, 8, 12];
const CLASSES: usize = 10;

/// Numbers from -1 to 1 without a visible pattern, the same in each run for the same name.
pub fn noise(name: &str, shape: &[usize]) -> Tensor {
    let seed: f32 = name.bytes().map(f32::from).sum();
    let values = (0..shape.iter().product::<usize>())
        .map(|place| ((f64::from(place as u32) * 12.9898 + f64::from(seed)).sin() * 43_758.547).fract() as f32);
    Tensor::from_iter(values, &Device::Cpu).unwrap().reshape(shape).unwrap()
}

/// A small network with weights from [`noise`] and this many blocks a stage.
pub fn small_network(blocks: usize) -> HashMap<String, Tensor> {
    network_of(&WIDTHS, blocks)
}

/// One with a stage for each of these widths.
pub fn network_of(widths: &[usize], blocks: usize) -> HashMap<String, Tensor> {
    let mut tensors = HashMap::new();
    add_convolution(&mut tensors, "conv1", "bn1", 3, widths[0]);
    let mut channels = widths[0];
    for (stage, width) in (1..).zip(widths.iter().copied()) {
        for block in 0..blocks {
            let name = format!("layer{stage}.{block}");
            add_convolution(&mut tensors, &format!("{name}.conv1"), &format!("{name}.bn1"), channels, width);
            add_convolution(&mut tensors, &format!("{name}.conv2"), &format!("{name}.bn2"), width, width);
            channels = width;
        }
    }
    tensors.insert("linear.weight".into(), noise("linear.weight", &[CLASSES, channels]));
    tensors.insert("linear.bias".into(), noise("linear.bias", &[CLASSES]));
    tensors
}

fn add_convolution(tensors: &mut HashMap<String, Tensor>, name: &str, batch_norm: &str, inputs: usize, outputs: usize) {
    let kernel = format!("{name}.weight");
    tensors.insert(kernel.clone(), (noise(&kernel, &[outputs, inputs, 3, 3]) * 0.3).unwrap());
    for (part, mean) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
        let name = format!("{batch_norm}.{part}");
        let values = (noise(&name, &[outputs]) * 0.5).unwrap() + mean;
        tensors.insert(name, values.unwrap());
    }
    let batches = Tensor::zeros((), DType::I64, &Device::Cpu).unwrap();
    tensors.insert(format!("{batch_norm}.num_batches_tracked"), batches);
}

/// Metadata for [`small_network`].
pub fn metadata() -> HashMap<String, String> {
    let labels: Vec<_> = ('a'..).take(CLASSES).map(String::from).collect();
    let entries =
        [("mean", "[0.5, 0.4, 0.3]".into()), ("std", "[0.2, 0.3, 0.4]".into()), ("labels", format!("{labels:?}"))];
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// An image of [`noise`].
pub fn noisy_image(name: &str) -> Pixels {
    let bytes = ((noise(name, &[crate::RAW_BYTES]) + 1.0).unwrap() * 127.5).unwrap().to_dtype(DType::U8).unwrap();
    Pixels::from_rgb(&bytes.to_vec1::<u8>().unwrap()).unwrap()
}

/// Each class's logit, from a model's tensors as they are in its file.
pub fn logits(tensors: &HashMap<String, Tensor>, metadata: &HashMap<String, String>, image: &Pixels) -> Vec<f32> {
    let variables = VarBuilder::from_tensors(tensors.clone(), DType::F32, &Device::Cpu);
    let max_pool = metadata.get("max_pool").is_some_and(|entry| entry == "true");
    let output = network(&variables, &normalised(metadata, image).unwrap(), max_pool).unwrap();
    output.squeeze(0).unwrap().to_vec1().unwrap()
}

fn normalised(metadata: &HashMap<String, String>, image: &Pixels) -> Result<Tensor> {
    let entry = |key: &str| -> Result<Tensor> {
        let numbers: [f32; 3] = serde_json::from_str(&metadata[key]).unwrap();
        Tensor::new(&numbers, &Device::Cpu)?.reshape((1, 3, 1, 1))
    };
    let bytes = Tensor::from_slice(image.as_bytes().as_slice(), (1, 32, 32, 3), &Device::Cpu)?;
    let image = (bytes.permute((0, 3, 1, 2))?.to_dtype(DType::F32)? / 255.0)?;
    image.broadcast_sub(&entry("mean")?)?.broadcast_div(&entry("std")?)
}

fn network(variables: &VarBuilder, image: &Tensor, max_pool: bool) -> Result<Tensor> {
    let mut x = convolve(variables, "conv1", "bn1", image, 1)?.relu()?;
    if max_pool {
        x = x.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?.max_pool2d_with_stride(3, 2)?;
    }
    for stage in 1..=4 {
        let blocks = variables.pp(format!("layer{stage}"));
        for number in (0..).take_while(|number| blocks.contains_tensor(&format!("{number}.conv1.weight"))) {
            x = block(&blocks.pp(number), &x, if stage > 1 && number == 0 { 2 } else { 1 })?;
        }
    }
    let means = x.mean((D::Minus2, D::Minus1))?;
    let weight = variables.get_unchecked("linear.weight")?;
    candle_nn::Linear::new(weight, Some(variables.get_unchecked("linear.bias")?)).forward(&means)
}

fn block(variables: &VarBuilder, x: &Tensor, stride: usize) -> Result<Tensor> {
    let y = convolve(variables, "conv1", "bn1", x, stride)?.relu()?;
    let y = convolve(variables, "conv2", "bn2", &y, 1)?;
    let shortcut = if stride == 1 {
        x.clone()
    } else {
        let zeros = y.dim(1)? - x.dim(1)?;
        let even = Tensor::arange_step(0u32, x.dim(2)? as u32, 2, x.device())?;
        let x = x.index_select(&even, 2)?.index_select(&even, 3)?;
        x.pad_with_zeros(1, zeros / 2, zeros - zeros / 2)?
    };
    (y + shortcut)?.relu()
}

fn convolve(variables: &VarBuilder, name: &str, batch_norm: &str, x: &Tensor, stride: usize) -> Result<Tensor> {
    let kernel = variables.get_unchecked(&format!("{name}.weight"))?;
    let channels = kernel.dim(0)?;
    let config = Conv2dConfig { padding: 1, stride, ..Default::default() };
    let y = candle_nn::Conv2d::new(kernel, None, config).forward(x)?;
    candle_nn::batch_norm(channels, 1e-5, variables.pp(batch_norm))?.forward_t(&y, false)
}

pub fn largest_difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models")
}

/// The images of `models/sample` with their labels, in the order of the test set.
fn sample() -> Vec<(Pixels, String)> {
    let mut files: Vec<_> =
        std::fs::read_dir(models().join("sample")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let label = |file: &Path| file.file_stem().unwrap().to_string_lossy().split('-').nth(1).unwrap().to_owned();
    files.iter().map(|file| (decode("image/png", &std::fs::read(file).unwrap()).unwrap(), label(file))).collect()
}

/// The trained model, and how to compute its logits the plain way.
fn trained() -> (Classifier, impl Fn(&Pixels) -> Vec<f32> + Sync) {
    let path = models().join("resnet20.safetensors");
    let file = std::fs::read(&path).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&file).unwrap();
    let metadata = header.metadata().clone().unwrap();
    let tensors = candle_core::safetensors::load_buffer(&file, &Device::Cpu).unwrap();
    (Classifier::load(&path).unwrap(), move |image: &Pixels| logits(&tensors, &metadata, image))
}

#[test]
fn the_trained_model_agrees_with_candle_nn_on_the_sample() {
    let (classifier, plain) = trained();
    let images: Vec<_> = sample().into_iter().take(10).map(|(image, _)| image).collect();
    let (largest, labels) = compare(&classifier, &plain, &images);
    println!(
        "{}: {} images, largest difference of a logit {largest:.6}, other labels {labels}",
        in_use(),
        images.len()
    );
    assert!(largest < 0.01 && labels == 0);
}

fn in_use() -> &'static str {
    crate::InstructionSet::in_use().unwrap().name()
}

/// The images of CIFAR-10's test set, from where `images/cifar10-test` put them.
fn test_set() -> Vec<Pixels> {
    let cache = std::env::var("TAILRACE_CACHE").unwrap_or_else(|_| std::env::var("HOME").unwrap() + "/.cache/tailrace");
    let rows = image::open(Path::new(&cache).join("cifar10-test/test_batch.png")).unwrap().into_rgb8();
    rows.as_raw().chunks(crate::RAW_BYTES).map(|image| Pixels::from_rgb(image).unwrap()).collect()
}

/// The largest difference of a logit, and how many labels differ although the two best logits do not come as close.
fn compare(classifier: &Classifier, plain: &impl Fn(&Pixels) -> Vec<f32>, images: &[Pixels]) -> (f32, usize) {
    let best = |logits: &[f32]| (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
    let (mut largest, mut labels) = (0.0, 0);
    for (image, found) in images.iter().zip(classifier.logits(images).unwrap()) {
        let expected = plain(image);
        largest = largest_difference(&found, &expected).max(largest);
        let (found, right) = (best(&found), best(&expected));
        labels += usize::from(found != right && (expected[right] - expected[found]).abs() > 0.01);
    }
    (largest, labels)
}

#[test]
#[ignore = "wants the whole test set: tests/all-images, a stage of make test, brings it and runs this"]
fn the_trained_model_agrees_with_candle_nn_on_all_test_images() {
    let (classifier, plain) = trained();
    let images = test_set();
    assert_eq!(images.len(), 10_000);
    let cores = std::thread::available_parallelism().unwrap().get();
    let compared: Vec<_> = std::thread::scope(|scope| {
        let parts = images.chunks(images.len().div_ceil(cores));
        let threads: Vec<_> = parts.map(|part| scope.spawn(|| compare(&classifier, &plain, part))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let largest = compared.iter().map(|(largest, _)| *largest).fold(0.0, f32::max);
    let labels: usize = compared.iter().map(|(_, labels)| labels).sum();
    println!(
        "{}: {} images, largest difference of a logit {largest:.6}, other labels {labels}",
        in_use(),
        images.len()
    );
    assert!(largest < 0.01 && labels == 0);
}

#[test]
fn the_trained_model_knows_the_sample() {
    let classifier = Classifier::load(&models().join("resnet20.safetensors")).unwrap();
    let (images, labels): (Vec<_>, Vec<_>) = sample().into_iter().unzip();
    let answers = classifier.classify(&images).unwrap();
    let right = answers.iter().zip(&labels).filter(|(answer, label)| *answer.label == ***label).count();
    assert!(right * 100 >= 88 * images.len(), "{right} of {} are right", images.len());
    assert!(answers.iter().all(|answer| answer.confidence > 0.1 && answer.confidence <= 1.0));
}
