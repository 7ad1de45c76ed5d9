//! The tensors of a model's file, by name, taken out one by one.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::{LoadError, checkpoint};

/// What is added to a variance before its root is taken, as PyTorch does by default.
const EPSILON: f64 = 1e-5;

/// What `DataParallel` puts before each name.
const PREFIX: &str = "module.";

pub(crate) struct Weights<'a> {
    tensors: HashMap<String, StoredTensor<'a>>,
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
    pub fn new(mut tensors: HashMap<String, StoredTensor<'a>>) -> Self {
        if tensors.keys().all(|name| name.starts_with(PREFIX)) {
            tensors = tensors.into_iter().map(|(name, tensor)| (name[PREFIX.len()..].to_owned(), tensor)).collect();
        }
        Self { tensors, taken: BTreeSet::new() }
    }

    /// The tensors in a safetensors file or a PyTorch checkpoint, and the metadata of the former.
    pub fn read(path: &Path, file: &'a [u8]) -> Result<(Self, HashMap<String, String>), LoadError> {
        if checkpoint::is_checkpoint(file) {
            let tensors = checkpoint::read(file);
            let tensors = tensors.map_err(|source| LoadError::Checkpoint { path: path.to_owned(), source })?;
            return Ok((Self::new(tensors), HashMap::new()));
        }
        let format = |source| LoadError::Format { path: path.to_owned(), source };
        let (_, header) = SafeTensors::read_metadata(file).map_err(format)?;
        let tensors = SafeTensors::deserialize(file).map_err(format)?;
        let tensors = tensors.tensors().into_iter().map(|(name, view)| (name, StoredTensor::from(view))).collect();
        Ok((Self::new(tensors), header.metadata().clone().unwrap_or_default()))
    }

    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The tensor as 32-bit floats; `None` in `expected` stands for any length.
    pub fn take(&mut self, name: &str, expected: &[Option<usize>]) -> Result<Tensor, LoadError> {
        let shape = || describe(expected);
        let stored = self.tensors.get(name);
        let stored = stored.ok_or_else(|| LoadError::MissingTensor { name: name.to_owned(), expected: shape() })?;
        if !fits(expected, &stored.shape) {
            return Err(LoadError::Shape { name: name.to_owned(), expected: shape(), found: stored.shape.clone() });
        }
        let float = stored.float.ok_or_else(|| LoadError::NoFloats { name: name.to_owned() })?;
        let tensor = Tensor::from_raw_buffer(&stored.bytes, float, &stored.shape, &Device::Cpu)?;
        let tensor = finite(name, tensor.to_dtype(DType::F32)?)?;
        self.taken.insert(name.to_owned());
        Ok(tensor)
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
        let scale = finite(&format!("{batch_norm}.running_var"), (weight / (variance + EPSILON)?.sqrt()?)?)?;
        let kernel = finite(&name, kernel.broadcast_mul(&scale.reshape((channels, 1, 1, 1))?)?)?;
        let bias = finite(&format!("{batch_norm}.bias"), (bias - (mean * scale)?)?)?;
        Ok((kernel, bias))
    }

    /// Refuses a file with tensors that the network does not use: it is another network.
    pub fn finish(self) -> Result<(), LoadError> {
        let mut others: Vec<_> = self.tensors.iter().filter(|(name, _)| !self.taken.contains(*name)).collect();
        // PyTorch counts batches in its batch norms; only training uses that.
        others.retain(|(name, _)| !name.ends_with(".num_batches_tracked"));
        match others.into_iter().min_by_key(|(name, _)| *name) {
            None => Ok(()),
            Some((name, tensor)) => {
                Err(LoadError::UnexpectedTensor { name: name.clone(), found: tensor.shape.clone() })
            }
        }
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
