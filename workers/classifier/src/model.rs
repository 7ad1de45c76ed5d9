//! What a model's file says about itself.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::LoadError;

/// Which model answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    name: String,
    sha256: String,
    labels: Vec<Arc<str>>,
}

impl Model {
    pub(crate) fn new(path: &Path, file: &[u8], metadata: &HashMap<String, String>) -> Result<Self, LoadError> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let labels: Vec<String> = entry(metadata, "labels", "a JSON list of class names")?;
        let labels = labels.into_iter().map(Arc::from).collect();
        Ok(Self { name, sha256: hexadecimal(&Sha256::digest(file)), labels })
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
    pub fn new(metadata: &HashMap<String, String>) -> Result<Self, LoadError> {
        let expected = "a JSON list of three numbers, red, green, blue, from 0 to 1";
        Ok(Self { mean: entry(metadata, "mean", expected)?, std: entry(metadata, "std", expected)? })
    }
}

fn entry<T: serde::de::DeserializeOwned>(
    metadata: &HashMap<String, String>,
    key: &'static str,
    expected: &str,
) -> Result<T, LoadError> {
    let error = |found: String| LoadError::Metadata { key, expected: expected.to_owned(), found };
    let text = metadata.get(key).ok_or_else(|| error("nothing".to_owned()))?;
    serde_json::from_str(text).map_err(|_| error(format!("{text:?}")))
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

    #[test]
    fn a_model_is_named_by_its_file_and_known_by_its_bytes() {
        let model =
            Model::new(Path::new("/x/tiny.safetensors"), b"abc", &metadata(&[("labels", r#"["cat"]"#)])).unwrap();
        assert_eq!(model.name(), "tiny");
        assert_eq!(model.sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(&*model.labels()[0], "cat");
    }

    #[test]
    fn missing_labels_are_named() {
        let error = Model::new(Path::new("x"), b"", &HashMap::new()).unwrap_err().to_string();
        assert_eq!(error, r#"the model's metadata must have "labels" as a JSON list of class names, found nothing"#);
    }

    #[test]
    fn a_normalisation_of_two_numbers_is_refused() {
        let error = Normalisation::new(&metadata(&[("mean", "[0.5, 0.5]")])).unwrap_err().to_string();
        assert!(error.contains(r#""mean""#) && error.contains("[0.5, 0.5]"), "{error}");
    }
}
