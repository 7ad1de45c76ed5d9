//! What a model's file says about itself.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::LoadError;

/// The classes of CIFAR-10, in the order of their numbers.
pub const CIFAR_10: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// With what most networks for photographs are trained, those of CIFAR-10 among them.
const DEFAULT_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEFAULT_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// What a model's file does not say about itself. What is given here is taken instead of the file's metadata, and that
/// instead of the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadOptions {
    /// What is subtracted from red, green and blue, each from 0 to 1; 0.485, 0.456, 0.406 by default.
    pub mean: Option<[f32; 3]>,
    /// By what the differences are divided; 0.229, 0.224, 0.225 by default.
    pub std: Option<[f32; 3]>,
    /// Whether the first convolution is followed by max pooling, as in networks for photographs; no by default. It has
    /// no tensors, so that a file cannot show it.
    pub max_pool: Option<bool>,
    /// The names of the outputs in their order; those of CIFAR-10 by default where there are ten.
    pub labels: Option<Vec<String>>,
}

/// Which model answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    name: String,
    sha256: String,
    labels: Vec<Arc<str>>,
    unused: Vec<String>,
}

impl Model {
    /// `classes` is the number of the network's outputs.
    pub(crate) fn new(
        path: &Path,
        file: &[u8],
        metadata: &HashMap<String, String>,
        options: &LoadOptions,
        classes: usize,
    ) -> Result<Self, LoadError> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let labels = match (&options.labels, entry(metadata, "labels", "a JSON list of class names")?) {
            (Some(labels), _) => labels.clone(),
            (None, Some(labels)) => labels,
            (None, None) if classes == CIFAR_10.len() => CIFAR_10.map(str::to_owned).to_vec(),
            (None, None) => Vec::new(),
        };
        if labels.len() != classes {
            return Err(LoadError::Metadata {
                key: "labels",
                expected: format!("{classes} names, one for each output of the network"),
                found: labels.len().to_string(),
            });
        }
        let labels = labels.into_iter().map(Arc::from).collect();
        Ok(Self { name, sha256: hexadecimal(&Sha256::digest(file)), labels, unused: Vec::new() })
    }

    /// The file's name without its ending: `resnet20`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the file, 64 hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The same, of a file that has these tensors beside the network.
    pub(crate) fn with_unused(self, unused: Vec<String>) -> Self {
        Self { unused, ..self }
    }

    /// The names of tensors in the file that are beside the network and not computed with, such as those of a loss.
    #[must_use]
    pub fn unused(&self) -> &[String] {
        &self.unused
    }

    /// The names of the classes, in the order of the network's outputs.
    #[must_use]
    pub fn labels(&self) -> &[Arc<str>] {
        &self.labels
    }
}

/// How bytes become the network's input: divided by 255, minus `mean`, divided by `std`, for each of red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Normalisation {
    pub mean: [f32; 3],
    pub std: [f32; 3],
}

impl Normalisation {
    pub fn new(metadata: &HashMap<String, String>, options: &LoadOptions) -> Result<Self, LoadError> {
        let is_mean = |value: &f32| (0.0..=1.0).contains(value);
        let is_std = |value: &f32| *value > 0.0 && *value <= 1.0;
        let mean = colours("mean", "from 0 to 1", metadata, options.mean, DEFAULT_MEAN, is_mean)?;
        let std = colours("std", "above 0 and at most 1", metadata, options.std, DEFAULT_STD, is_std)?;
        Ok(Self { mean, std })
    }
}

/// Whether there is max pooling, as it is given, or as the metadata say.
pub(crate) fn max_pool(metadata: &HashMap<String, String>, options: &LoadOptions) -> Result<bool, LoadError> {
    let in_file = entry(metadata, "max_pool", "true or false")?;
    Ok(options.max_pool.or(in_file).unwrap_or_default())
}

fn colours(
    key: &'static str,
    range: &str,
    metadata: &HashMap<String, String>,
    option: Option<[f32; 3]>,
    default: [f32; 3],
    in_range: impl Fn(&f32) -> bool,
) -> Result<[f32; 3], LoadError> {
    let expected = format!("three numbers {range}, for red, green, blue");
    let numbers = match option {
        Some(numbers) => numbers,
        None => entry(metadata, key, &expected)?.unwrap_or(default),
    };
    if numbers.iter().all(in_range) {
        Ok(numbers)
    } else {
        Err(LoadError::Metadata { key, expected, found: format!("{numbers:?}") })
    }
}

/// An entry of a file's metadata; none where it is not there.
fn entry<T: serde::de::DeserializeOwned>(
    metadata: &HashMap<String, String>,
    key: &'static str,
    expected: &str,
) -> Result<Option<T>, LoadError> {
    let Some(text) = metadata.get(key) else { return Ok(None) };
    let found = || text.chars().take(100).collect::<String>();
    let value = serde_json::from_str(text);
    value.map_err(|_| LoadError::Metadata { key, expected: expected.to_owned(), found: format!("{:?}", found()) })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(entries: &[(&str, &str)]) -> HashMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn labels(classes: usize, in_file: &[(&str, &str)], options: &LoadOptions) -> Result<Vec<String>, String> {
        let model = Model::new(Path::new("x"), b"", &metadata(in_file), options, classes);
        Ok(model.map_err(|error| error.to_string())?.labels().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_model_is_named_by_its_file_and_known_by_its_bytes() {
        let path = Path::new("/x/tiny.safetensors");
        let model = Model::new(path, b"abc", &HashMap::new(), &LoadOptions::default(), 10).unwrap();
        assert_eq!(model.name(), "tiny");
        assert_eq!(model.sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn labels_are_given_or_in_the_file_or_those_of_cifar_10() {
        let (file, none) = ([("labels", r#"["cat", "dog"]"#)], LoadOptions::default());
        let given = LoadOptions { labels: Some(vec!["yes".into(), "no".into()]), ..none.clone() };
        assert_eq!(labels(2, &file, &given).unwrap(), ["yes", "no"]);
        assert_eq!(labels(2, &file, &none).unwrap(), ["cat", "dog"]);
        assert_eq!(labels(10, &[], &none).unwrap(), CIFAR_10);
    }

    #[test]
    fn as_many_labels_as_outputs_are_needed() {
        let error = labels(100, &[], &LoadOptions::default()).unwrap_err();
        assert_eq!(error, "the model's labels must be 100 names, one for each output of the network, found 0");
    }

    #[test]
    fn labels_that_are_no_list_are_refused() {
        let error = labels(2, &[("labels", "cat,dog")], &LoadOptions::default()).unwrap_err();
        assert_eq!(error, r#"the model's labels must be a JSON list of class names, found "cat,dog""#);
    }

    #[test]
    fn a_normalisation_is_given_or_in_the_file_or_the_default() {
        let file = metadata(&[("mean", "[0.5, 0.4, 0.3]")]);
        let given = LoadOptions { mean: Some([0.1, 0.2, 0.3]), ..LoadOptions::default() };
        assert_eq!(Normalisation::new(&file, &given).unwrap().mean, [0.1, 0.2, 0.3]);
        let found = Normalisation::new(&file, &LoadOptions::default()).unwrap();
        assert_eq!((found.mean, found.std), ([0.5, 0.4, 0.3], DEFAULT_STD));
    }

    #[test]
    fn a_normalisation_that_cannot_be_is_refused() {
        let refused = |key, value| {
            Normalisation::new(&metadata(&[(key, value)]), &LoadOptions::default()).unwrap_err().to_string()
        };
        let expected = "the model's mean must be three numbers from 0 to 1, for red, green, blue, found ";
        assert_eq!(refused("mean", "[0.5, 0.5]"), format!("{expected}\"[0.5, 0.5]\""));
        assert_eq!(refused("mean", "[125.3, 123.0, 113.9]"), format!("{expected}[125.3, 123.0, 113.9]"));
        assert!(refused("std", "[0.2, 0.2, 0]").contains("above 0"));
        let zero = LoadOptions { std: Some([0.2, f32::NAN, 0.2]), ..LoadOptions::default() };
        assert!(Normalisation::new(&HashMap::new(), &zero).unwrap_err().to_string().contains("NaN"));
    }
}
