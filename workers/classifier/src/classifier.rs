//! Images in, labels out.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::utils::barrier_pool;

use crate::architecture::Architecture;
use crate::model::{LoadOptions, Model, Normalisation, max_pool};
use crate::network::Network;
use crate::weights::Weights;
use crate::{ClassifyError, InstructionSet, LoadError, Pixels};

/// The largest file that is read: a ResNet-18 with the moments of its optimizer takes an eighth of it.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// A network with its weights, ready to compute. Shared between threads, each computes on its own.
pub struct Classifier {
    model: Model,
    network: Network,
}

/// The answer to one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    /// Which output of the network is the largest, from 0.
    pub index: usize,
    /// The name of that class.
    pub label: Arc<str>,
    /// Softmax of that output, from 0 to 1.
    pub confidence: f32,
}

impl Classifier {
    /// [`Classifier::load_with`] what the file says of itself, and the defaults.
    ///
    /// # Errors
    /// A [`LoadError`] that says which tensor or entry is not as it should be.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Self::load_with(path, &LoadOptions::default())
    }

    /// Loads a CIFAR ResNet with 6n+2 layers, shortcuts of option A or B, or the CIFAR form of ResNet-18, from a
    /// `.safetensors` file or a PyTorch checkpoint: a state_dict, alone or under the key `state_dict`. Depth and widths
    /// are those of its tensors `conv1.weight`, `bn1.*`, `layer1.0.conv1.weight` ... `linear.bias`; the last layer can
    /// be called `fc`, a projection `shortcut` or `downsample`, and any prefix, such as `module.`, can stand before all
    /// names of the network; tensors with other names beside it are listed as [`Model::unused`]. A safetensors file can
    /// have `labels`, `mean` and `std` as JSON lists and `max_pool` in its metadata. Nothing in a checkpoint is run.
    ///
    /// # Errors
    /// A [`LoadError`] that says which tensor or entry is not as it should be.
    pub fn load_with(path: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        Self::from_file(path, &read(path)?, options)
    }

    pub(crate) fn from_file(path: &Path, file: &[u8], options: &LoadOptions) -> Result<Self, LoadError> {
        let (mut weights, metadata) = Weights::read(path, file)?;
        let architecture = Architecture::read(&mut weights)?;
        let unused = weights.finish()?;
        let model = Model::new(path, file, &metadata, options, architecture.classes()?)?.with_unused(unused);
        let (normalisation, max_pool) = (Normalisation::new(&metadata, options)?, max_pool(&metadata, options)?);
        let network = Network::new(InstructionSet::in_use()?, &architecture, normalisation, max_pool)?;
        Ok(Self { model, network })
    }

    /// The answers, in the order of the images, computed by the calling thread. Images that come together take less
    /// time each than alone.
    ///
    /// # Errors
    /// [`ClassifyError`] when a tensor operation fails.
    pub fn classify(&self, images: &[Pixels]) -> Result<Vec<Classification>, ClassifyError> {
        Ok(self.network.logits(images)?.iter().map(|logits| self.best(logits)).collect())
    }

    /// How many threads [`Self::classify_on_all_cores`] shares a batch out over.
    #[must_use]
    pub fn threads() -> usize {
        // The pool's, and the one that calls.
        barrier_pool().n_workers() + 1
    }

    /// As [`Self::classify`], with the images shared out over Candle's threads, one a physical core, which wait for
    /// work already.
    ///
    /// # Errors
    /// [`ClassifyError`] when a tensor operation fails.
    pub fn classify_on_all_cores(&self, images: &[Pixels]) -> Result<Vec<Classification>, ClassifyError> {
        let parts = Mutex::new(Vec::new());
        barrier_pool().execute_chunked(images.len(), |range| {
            let part = (range.start, self.classify(&images[range]));
            parts.lock().unwrap_or_else(PoisonError::into_inner).push(part);
        });
        let mut parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner);
        parts.sort_by_key(|(start, _)| *start);
        let mut answers = Vec::with_capacity(images.len());
        for (_, part) in parts {
            answers.extend(part?);
        }
        Ok(answers)
    }

    /// The network's outputs before the softmax, one a class, for each image.
    ///
    /// # Errors
    /// [`ClassifyError`] when a tensor operation fails.
    pub fn logits(&self, images: &[Pixels]) -> Result<Vec<Vec<f32>>, ClassifyError> {
        Ok(self.network.logits(images)?)
    }

    /// Which model this is.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    fn best(&self, logits: &[f32]) -> Classification {
        let (index, largest) = largest(logits);
        let sum: f32 = logits.iter().map(|logit| (logit - largest).exp()).sum();
        Classification { index, label: self.model.labels()[index].clone(), confidence: 1.0 / sum }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unreadable = |source| LoadError::Read { path: path.to_owned(), source };
    let mut file = Vec::new();
    let mut source = File::open(path).map_err(unreadable)?.take(MAX_FILE_BYTES + 1);
    source.read_to_end(&mut file).map_err(unreadable)?;
    if file.len() as u64 > MAX_FILE_BYTES {
        return Err(LoadError::TooLarge { path: path.to_owned(), most: MAX_FILE_BYTES });
    }
    Ok(file)
}

fn largest(logits: &[f32]) -> (usize, f32) {
    logits
        .iter()
        .copied()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::{Device, Tensor};

    use super::*;
    use crate::reference;

    fn load(tensors: &HashMap<String, Tensor>, metadata: &HashMap<String, String>) -> Result<Classifier, LoadError> {
        let file = safetensors::serialize(tensors, Some(metadata.clone())).unwrap();
        Classifier::from_file(Path::new("small.safetensors"), &file, &LoadOptions::default())
    }

    fn refusal(change: impl FnOnce(&mut HashMap<String, Tensor>, &mut HashMap<String, String>)) -> String {
        let (mut tensors, mut metadata) = (reference::small_network(1), reference::metadata());
        change(&mut tensors, &mut metadata);
        load(&tensors, &metadata).err().expect("the file is refused").to_string()
    }

    fn zeros(shape: &[usize]) -> Tensor {
        Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap()
    }

    #[test]
    fn depth_and_widths_are_read_off_the_tensors() {
        for blocks in [1, 2] {
            let tensors = reference::small_network(blocks);
            let classifier = load(&tensors, &reference::metadata()).unwrap();
            for image in ["one", "two", "three"].map(reference::noisy_image) {
                let found = classifier.logits(std::slice::from_ref(&image)).unwrap().remove(0);
                let expected = reference::logits(&tensors, &reference::metadata(), &image);
                let difference = reference::largest_difference(&found, &expected);
                assert!(difference < 1e-3, "{blocks} blocks a stage: largest difference {difference}");
            }
        }
    }

    #[test]
    fn max_pooling_after_the_first_convolution_is_an_option_or_in_the_file() {
        let image = reference::noisy_image("one");
        for tensors in [reference::small_network(2), reference::network_of(&[4, 6, 8, 10], 2)] {
            let in_file = |value: &str| {
                let pooled = [("max_pool".to_owned(), value.to_owned())];
                reference::metadata().into_iter().chain(pooled).collect::<HashMap<_, _>>()
            };
            let expected = reference::logits(&tensors, &in_file("true"), &image);
            let found = |metadata: &HashMap<String, String>, max_pool| {
                let file = safetensors::serialize(&tensors, Some(metadata.clone())).unwrap();
                let options = LoadOptions { max_pool, ..LoadOptions::default() };
                let classifier = Classifier::from_file(Path::new("x.safetensors"), &file, &options).unwrap();
                reference::largest_difference(
                    &classifier.logits(std::slice::from_ref(&image)).unwrap().remove(0),
                    &expected,
                )
            };
            let (given, read) = (found(&reference::metadata(), Some(true)), found(&in_file("true"), None));
            assert!(given < 1e-3 && read < 1e-3, "largest differences {given} and {read}");
            assert!(found(&reference::metadata(), None) > 0.1, "the same tensors without it are another network");
            assert!(found(&in_file("true"), Some(false)) > 0.1, "what is given is taken before what the file says");
        }
        let error = refusal(|_, metadata| drop(metadata.insert("max_pool".into(), "3".into())));
        assert!(error.starts_with("the model's max_pool must be true or false"), "{error}");
    }

    fn with_prefix(prefix: &str) -> HashMap<String, Tensor> {
        reference::small_network(1).into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect()
    }

    #[test]
    fn any_prefix_of_a_wrapper_is_found() {
        let image = reference::noisy_image("one");
        let expected = load(&with_prefix(""), &reference::metadata()).unwrap();
        let expected = expected.logits(std::slice::from_ref(&image)).unwrap();
        for prefix in [
            "module.",
            "_orig_mod.",
            "module._orig_mod.",
            "_orig_mod.module.",
            "model.",
            "net.",
            "backbone.",
            "1.",
            "a.b.c.",
        ] {
            let classifier = load(&with_prefix(prefix), &reference::metadata()).unwrap();
            assert_eq!(classifier.logits(std::slice::from_ref(&image)).unwrap(), expected, "{prefix}");
            assert!(classifier.model().unused().is_empty(), "{prefix}");
        }
    }

    #[test]
    fn what_is_beside_the_network_is_listed() {
        let mut tensors = with_prefix("model.");
        tensors.insert("criterion.weight".into(), zeros(&[10]));
        tensors.insert("accuracy.tp".into(), zeros(&[1]));
        let classifier = load(&tensors, &reference::metadata()).unwrap();
        assert_eq!(classifier.model().unused(), ["accuracy.tp", "criterion.weight"]);
    }

    #[test]
    fn two_networks_in_one_file_are_refused_by_their_prefixes() {
        for (one, other) in [("model.", "ema."), ("", "teacher.")] {
            let tensors = with_prefix(one).into_iter().chain(with_prefix(other)).collect();
            let error = load(&tensors, &reference::metadata()).err().unwrap().to_string();
            let mut prefixes = [one, other];
            prefixes.sort_unstable();
            assert_eq!(
                error,
                format!(
                    "the file has 2 networks, whose names begin with {prefixes:?}: save the state_dict of one of them"
                )
            );
        }
    }

    #[test]
    fn what_is_there_is_listed_beside_what_is_missing() {
        let error = refusal(|tensors, _| {
            tensors.clear();
            for number in 0..9 {
                tensors.insert(format!("features.{number}.weight"), zeros(&[8, 3, 3, 3]));
            }
        });
        assert!(error.starts_with(r#"tensor "conv1.weight" is missing"#), "{error}");
        assert!(error.contains(r#"the file has "features.1.weight" [8, 3, 3, 3], "features.0.weight""#), "{error}");
        assert!(error.ends_with("and 3 more"), "{error}");
        let error = refusal(|tensors, _| {
            let head = tensors.remove("linear.weight").unwrap();
            tensors.insert("head.weight".into(), head);
        });
        assert!(
            error.contains(r#""linear.weight" is missing"#) && error.contains(r#""head.weight" [10, 12]"#),
            "{error}"
        );
        let mut prefixed = with_prefix("net.");
        prefixed.remove("net.bn1.running_var");
        let error = load(&prefixed, &reference::metadata()).err().unwrap().to_string();
        assert!(error.starts_with(r#"tensor "net.bn1.running_var" is missing"#), "{error}");
        let error = refusal(|tensors, _| tensors.clear());
        assert!(error.ends_with("the file has no other tensor"), "{error}");
    }

    #[test]
    fn the_confidence_is_the_softmax_of_the_best() {
        let classifier = load(&reference::small_network(1), &reference::metadata()).unwrap();
        let answer = classifier.best(&[0.0, 2.0, 1.0]);
        assert_eq!((answer.index, &*answer.label), (1, "b"));
        assert!((answer.confidence - 0.665_241).abs() < 1e-5, "{}", answer.confidence);
    }

    #[test]
    fn all_cores_give_the_answers_of_one_in_the_same_order() {
        let classifier = load(&reference::small_network(1), &reference::metadata()).unwrap();
        let images: Vec<_> = (0..11).map(|number| reference::noisy_image(&"n".repeat(number))).collect();
        assert_eq!(classifier.classify_on_all_cores(&images).unwrap(), classifier.classify(&images).unwrap());
    }

    #[test]
    fn no_images_have_no_answers() {
        let classifier = load(&reference::small_network(1), &reference::metadata()).unwrap();
        assert_eq!(classifier.classify(&[]).unwrap(), []);
        assert_eq!(classifier.classify_on_all_cores(&[]).unwrap(), []);
    }

    #[test]
    fn a_file_of_another_format_is_refused() {
        let error = Classifier::from_file(Path::new("x.png"), b"\x89PNG", &LoadOptions::default());
        let error = error.err().unwrap().to_string();
        assert!(error.starts_with("x.png is neither a PyTorch checkpoint nor a safetensors file"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Classifier::load(Path::new("no/such.safetensors")).err().unwrap().to_string();
        assert!(error.starts_with("cannot read the model no/such.safetensors"), "{error}");
    }

    #[test]
    fn a_missing_tensor_is_named_with_its_shape() {
        let error = refusal(|tensors, _| drop(tensors.remove("layer2.0.conv1.weight")));
        assert!(error.contains(r#""layer2.0.conv1.weight" is missing"#) && error.contains("[any, 4, 3, 3]"), "{error}");
    }

    #[test]
    fn a_tensor_of_another_shape_is_named_with_both_shapes() {
        let error = refusal(|tensors, _| drop(tensors.insert("layer1.0.conv2.weight".into(), zeros(&[4, 4, 5, 5]))));
        assert_eq!(error, r#"tensor "layer1.0.conv2.weight" must have the shape [4, 4, 3, 3], found [4, 4, 5, 5]"#);
    }

    #[test]
    fn fewer_channels_in_a_later_stage_are_refused() {
        let error = refusal(|tensors, _| {
            tensors.insert("layer2.0.conv1.weight".into(), zeros(&[2, 4, 3, 3]));
            for part in ["weight", "bias", "running_mean", "running_var"] {
                tensors.insert(format!("layer2.0.bn1.{part}"), zeros(&[2]));
                tensors.insert(format!("layer2.0.bn2.{part}"), zeros(&[2]));
            }
            tensors.insert("layer2.0.conv2.weight".into(), zeros(&[2, 2, 3, 3]));
        });
        assert!(error.contains(r#""layer2.0.conv1.weight" must have the shape [4 or more, 4, 3, 3]"#), "{error}");
    }

    #[test]
    fn a_tensor_of_another_network_is_named() {
        let error =
            refusal(|tensors, _| drop(tensors.insert("layer1.0.shortcut.0.weight".into(), zeros(&[4, 4, 1, 1]))));
        assert!(error.contains(r#""layer1.0.shortcut.0.weight" with the shape [4, 4, 1, 1]"#), "{error}");
    }

    #[test]
    fn all_stages_have_as_many_blocks_as_the_first() {
        let mut deeper = reference::small_network(2);
        deeper.retain(|name, _| !name.starts_with("layer3.1."));
        let error = load(&deeper, &reference::metadata()).err().unwrap().to_string();
        assert!(error.contains(r#""layer3.1.conv1.weight" is missing"#), "{error}");
    }

    #[test]
    fn the_network_of_photographs_is_refused_at_its_first_tensor() {
        let error = refusal(|tensors, _| drop(tensors.insert("conv1.weight".into(), zeros(&[64, 3, 7, 7]))));
        assert_eq!(error, r#"tensor "conv1.weight" must have the shape [any, 3, 3, 3], found [64, 3, 7, 7]"#);
    }

    #[test]
    fn a_network_without_channels_is_refused() {
        let error = refusal(|tensors, _| drop(tensors.insert("conv1.weight".into(), zeros(&[0, 3, 3, 3]))));
        assert_eq!(error, r#"tensor "conv1.weight" must have the shape [any, 3, 3, 3], found [0, 3, 3, 3]"#);
    }

    #[test]
    fn weights_that_are_integers_are_refused() {
        let integers = Tensor::zeros(10, candle_core::DType::I64, &Device::Cpu).unwrap();
        let error = refusal(|tensors, _| drop(tensors.insert("linear.bias".into(), integers)));
        assert!(error.starts_with(r#"tensor "linear.bias" has integers"#), "{error}");
    }

    #[test]
    fn a_variance_below_zero_is_refused() {
        let negative = Tensor::full(-1f32, 4, &Device::Cpu).unwrap();
        let error = refusal(|tensors, _| drop(tensors.insert("bn1.running_var".into(), negative)));
        assert!(error.starts_with(r#"tensor "bn1.running_var" has values that are not finite"#), "{error}");
    }

    #[test]
    fn weights_that_are_not_numbers_are_refused() {
        let nan = Tensor::full(f32::NAN, 10, &Device::Cpu).unwrap();
        let error = refusal(|tensors, _| drop(tensors.insert("linear.bias".into(), nan)));
        assert!(error.starts_with(r#"tensor "linear.bias" has values that are not finite"#), "{error}");
    }
}
