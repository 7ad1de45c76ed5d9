//! The tensors of a model's file, by name, taken out one by one.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::{LoadError, checkpoint};

/// What is added to a variance before its root is taken, as PyTorch does by default.
const EPSILON: f64 = 1e-5;

/// Every ResNet of this kind has these two.
const ANCHORS: [&str; 2] = ["conv1.weight", "layer1.0.conv1.weight"];
/// How many of the tensors that are there an error names.
const MOST_NAMED: usize = 6;

pub(crate) struct Weights<'a> {
    /// What wrappers put before each name, such as `module.` or `model._orig_mod.`; often nothing.
    prefix: String,
    /// The names without the prefix.
    tensors: HashMap<String, StoredTensor<'a>>,
    /// What does not have the prefix: a loss or a metric beside the network. The names with their shapes.
    others: BTreeMap<String, Vec<usize>>,
    taken: BTreeSet<String>,
}

/// A tensor as it is in a file: as many bytes as its shape needs.
pub(crate) struct StoredTensor<'a> {
    pub shape: Vec<usize>,
    /// None: no floating-point numbers.
    pub float: Option<DType>,
    /// Row by row, little-endian.
    pub bytes: Cow<'a, [u8]>,
}

impl<'a> Weights<'a> {
    /// # Errors
    /// When there are several networks: nobody says which one is meant.
    pub fn new(tensors: HashMap<String, StoredTensor<'a>>) -> Result<Self, LoadError> {
        let prefix = prefix(&tensors)?;
        let (mut of_network, mut others) = (HashMap::new(), BTreeMap::new());
        for (name, tensor) in tensors {
            match name.strip_prefix(&prefix) {
                Some(rest) => drop(of_network.insert(rest.to_owned(), tensor)),
                None => drop(others.insert(name, tensor.shape)),
            }
        }
        Ok(Self { prefix, tensors: of_network, others, taken: BTreeSet::new() })
    }

    /// The tensors in a safetensors file or a PyTorch checkpoint, and the metadata of the former.
    pub fn read(path: &Path, file: &'a [u8]) -> Result<(Self, HashMap<String, String>), LoadError> {
        if checkpoint::is_checkpoint(file) {
            let tensors = checkpoint::read(file);
            let tensors = tensors.map_err(|source| LoadError::Checkpoint { path: path.to_owned(), source })?;
            return Ok((Self::new(tensors)?, HashMap::new()));
        }
        let format = |source| LoadError::Format { path: path.to_owned(), source };
        let (_, header) = SafeTensors::read_metadata(file).map_err(format)?;
        let tensors = SafeTensors::deserialize(file).map_err(format)?;
        let tensors = tensors.tensors().into_iter().map(|(name, view)| (name, StoredTensor::from(view))).collect();
        Ok((Self::new(tensors)?, header.metadata().clone().unwrap_or_default()))
    }

    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The tensor as 32-bit floats; `None` in `expected` stands for any length.
    pub fn take(&mut self, name: &str, expected: &[Option<usize>]) -> Result<Tensor, LoadError> {
        let (shape, full_name) = (|| describe(expected), self.full_name(name));
        let Some(stored) = self.tensors.get(name) else {
            return Err(LoadError::MissingTensor {
                there: self.nearest(&full_name),
                name: full_name,
                expected: shape(),
            });
        };
        if !fits(expected, &stored.shape) {
            return Err(LoadError::Shape { name: full_name, expected: shape(), found: stored.shape.clone() });
        }
        let float = stored.float.ok_or_else(|| LoadError::NoFloats { name: full_name.clone() })?;
        let tensor = Tensor::from_raw_buffer(&stored.bytes, float, &stored.shape, &Device::Cpu)?;
        let tensor = finite(&full_name, tensor.to_dtype(DType::F32)?)?;
        self.taken.insert(name.to_owned());
        Ok(tensor)
    }

    /// As the file has it.
    fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Tensors that are there and were not taken, those first whose names begin and end most like the one that is
    /// missing.
    fn nearest(&self, missing: &str) -> String {
        let others = self.others.iter().map(|(name, shape)| (name.clone(), shape));
        let left = self.tensors.iter().filter(|(name, _)| !self.taken.contains(*name));
        let mut left: Vec<_> = left.map(|(name, tensor)| (self.full_name(name), &tensor.shape)).chain(others).collect();
        left.retain(|(name, _)| !is_counter(name));
        left.sort_by_cached_key(|(name, _)| (Reverse(likeness(name, missing)), name.clone()));
        let named: Vec<_> = left.iter().take(MOST_NAMED).map(|(name, shape)| format!("{name:?} {shape:?}")).collect();
        match left.len().saturating_sub(MOST_NAMED) {
            _ if named.is_empty() => "no other tensor".to_owned(),
            0 => named.join(", "),
            more => format!("{} and {more} more", named.join(", ")),
        }
    }

    /// A convolution's kernel (out, in, size, size) and the bias (out) of the batch norm after it, folded into both.
    pub fn take_convolution(
        &mut self,
        (convolution, batch_norm): (&str, &str),
        (channels_out, channels_in): (Option<usize>, usize),
        size: usize,
    ) -> Result<(Tensor, Tensor), LoadError> {
        let name = format!("{convolution}.weight");
        let kernel = self.take(&name, &[channels_out, Some(channels_in), Some(size), Some(size)])?;
        let channels = kernel.dim(0)?;
        let mut of = |part: &str| self.take(&format!("{batch_norm}.{part}"), &[Some(channels)]);
        let (weight, bias) = (of("weight")?, of("bias")?);
        let (mean, variance) = (of("running_mean")?, of("running_var")?);
        let (name, [variance_of, bias_of]) = (
            self.full_name(&name),
            ["running_var", "bias"].map(|part| self.full_name(&format!("{batch_norm}.{part}"))),
        );
        let scale = finite(&variance_of, (weight / (variance + EPSILON)?.sqrt()?)?)?;
        let kernel = finite(&name, kernel.broadcast_mul(&scale.reshape((channels, 1, 1, 1))?)?)?;
        let bias = finite(&bias_of, (bias - (mean * scale)?)?)?;
        Ok((kernel, bias))
    }

    /// Refuses a file with tensors under the network's names that it does not use: it is another network. Gives the
    /// names of what is beside it.
    pub fn finish(self) -> Result<Vec<String>, LoadError> {
        let others = self.tensors.iter().filter(|(name, _)| !self.taken.contains(*name) && !is_counter(name));
        match others.min_by_key(|(name, _)| *name) {
            None => Ok(self.others.into_keys().filter(|name| !is_counter(name)).collect()),
            Some((name, tensor)) => {
                Err(LoadError::UnexpectedTensor { name: self.full_name(name), found: tensor.shape.clone() })
            }
        }
    }
}

/// PyTorch counts batches in its batch norms; only training uses that.
fn is_counter(name: &str) -> bool {
    name.ends_with("num_batches_tracked")
}

/// How many letters are the same at the beginning and at the end.
fn likeness(one: &str, other: &str) -> usize {
    let same = |(one, other): &(u8, u8)| one == other;
    let beginning = one.bytes().zip(other.bytes()).take_while(same).count();
    beginning + one.bytes().rev().zip(other.bytes().rev()).take_while(same).count()
}

/// What stands before the names of the network: the same before both of its anchors or, where one is missing, before
/// the first of them and all other names.
fn prefix(tensors: &HashMap<String, StoredTensor<'_>>) -> Result<String, LoadError> {
    let mut before_first: Vec<_> = tensors.keys().filter_map(|name| name.strip_suffix(ANCHORS[0])).collect();
    before_first.retain(|prefix| prefix.is_empty() || prefix.ends_with('.'));
    before_first.sort_unstable();
    let has_both = |prefix: &&str| tensors.contains_key(&format!("{prefix}{}", ANCHORS[1]));
    let has_all = |prefix: &&str| tensors.keys().all(|name| name.starts_with(prefix));

    let mut prefixes: Vec<_> = before_first.iter().copied().filter(has_both).map(ToOwned::to_owned).collect();
    match prefixes.len() {
        0 => Ok(before_first.into_iter().find(has_all).unwrap_or_default().to_owned()),
        1 => Ok(prefixes.remove(0)),
        _ => Err(LoadError::SeveralNetworks { prefixes }),
    }
}

impl<'a> From<TensorView<'a>> for StoredTensor<'a> {
    fn from(view: TensorView<'a>) -> Self {
        let float = match view.dtype() {
            Dtype::F64 => Some(DType::F64),
            Dtype::F32 => Some(DType::F32),
            Dtype::F16 => Some(DType::F16),
            Dtype::BF16 => Some(DType::BF16),
            _ => None,
        };
        Self { shape: view.shape().to_vec(), float, bytes: view.data().into() }
    }
}

fn finite(name: &str, tensor: Tensor) -> Result<Tensor, LoadError> {
    if tensor.flatten_all()?.to_vec1::<f32>()?.iter().all(|value| value.is_finite()) {
        Ok(tensor)
    } else {
        Err(LoadError::NotFinite { name: name.to_owned() })
    }
}

/// Any length is one that is not zero.
fn fits(expected: &[Option<usize>], found: &[usize]) -> bool {
    expected.len() == found.len()
        && expected.iter().zip(found).all(|(want, have)| want.map_or(*have > 0, |want| want == *have))
}

fn describe(expected: &[Option<usize>]) -> String {
    let lengths: Vec<_> = expected.iter().map(|length| length.map_or("any".to_owned(), |n| n.to_string())).collect();
    format!("[{}]", lengths.join(", "))
}
