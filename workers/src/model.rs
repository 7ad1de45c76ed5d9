//! Which network classifies, and what its file does not say of itself.

use std::path::{Path, PathBuf};

use tailrace_classifier::{Classifier, LoadError, LoadOptions};

/// The flags of a part that classifies.
#[derive(clap::Args, Debug)]
pub struct ModelArgs {
    /// The weights of the network: a .safetensors file or a PyTorch checkpoint (.pt, .pth, .th) of a CIFAR ResNet.
    #[arg(long, env = "TAILRACE_MODEL", default_value = "/usr/share/tailrace/resnet20.safetensors")]
    pub model: PathBuf,
    /// What is subtracted from red, green and blue, from 0 to 1; by default what the model's file says, or
    /// 0.485,0.456,0.406.
    #[arg(long, env = "TAILRACE_MEAN", value_name = "R,G,B", value_parser = colours)]
    pub mean: Option<[f32; 3]>,
    /// By what the differences are divided; by default what the model's file says, or 0.229,0.224,0.225.
    #[arg(long, env = "TAILRACE_STD", value_name = "R,G,B", value_parser = colours)]
    pub std: Option<[f32; 3]>,
    /// Whether the first convolution is followed by max pooling, 3 x 3 with stride 2, as in a ResNet for photographs:
    /// the tensors are the same with it; by default what the model's file says, or false.
    #[arg(
        long,
        env = "TAILRACE_MAX_POOL",
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub max_pool: Option<bool>,
    /// The names of the network's outputs, or a file with one a line; by default what the model's file says, or the
    /// classes of CIFAR-10.
    #[arg(long, env = "TAILRACE_LABELS", value_name = "FILE|A,B,...", value_parser = labels)]
    pub labels: Option<Labels>,
}

/// The names of a network's outputs in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels(Vec<String>);

impl ModelArgs {
    /// The network, ready to compute.
    ///
    /// # Errors
    /// A [`LoadError`] that says which tensor or entry is not as it should be.
    pub fn load(&self) -> Result<Classifier, LoadError> {
        let labels = self.labels.clone().map(|labels| labels.0);
        Classifier::load_with(
            &self.model,
            &LoadOptions { mean: self.mean, std: self.std, max_pool: self.max_pool, labels },
        )
    }
}

fn colours(text: &str) -> Result<[f32; 3], String> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    let numbers: Option<[f32; 3]> = numbers.ok().and_then(|numbers| numbers.try_into().ok());
    numbers.ok_or_else(|| "write three numbers for red, green and blue, such as 0.485,0.456,0.406".to_owned())
}

fn labels(text: &str) -> Result<Labels, String> {
    let labels: Vec<_> =
        if text.contains(',') { names(text.split(',')) } else { names(read(Path::new(text))?.lines()) };
    match labels.iter().position(String::is_empty) {
        Some(empty) => Err(format!("name {} is empty: write a name for each output of the network", empty + 1)),
        None => Ok(Labels(labels)),
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.map(|name| name.trim().to_owned()).collect()
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| {
        format!("cannot read {}: {error}; write names with commas between, or a file with one a line", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_three_numbers() {
        assert_eq!(colours("0.5, 0.25,1"), Ok([0.5, 0.25, 1.0]));
        for wrong in ["", "0.5", "0.5,0.5", "0.5,0.5,0.5,0.5", "a,b,c"] {
            assert!(colours(wrong).unwrap_err().starts_with("write three numbers"), "{wrong}");
        }
    }

    #[test]
    fn labels_are_given_or_in_a_file() {
        assert_eq!(labels("cat, dog"), Ok(Labels(vec!["cat".into(), "dog".into()])));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "cat\nhot dog\n").unwrap();
        assert_eq!(labels(file.path().to_str().unwrap()), Ok(Labels(vec!["cat".into(), "hot dog".into()])));
    }

    #[test]
    fn labels_that_cannot_be_had_are_refused_with_what_to_write() {
        assert!(labels("cat,,dog").unwrap_err().starts_with("name 2 is empty"));
        let error = labels("no/such/file").unwrap_err();
        assert!(error.starts_with("cannot read no/such/file") && error.contains("one a line"), "{error}");
    }
}
