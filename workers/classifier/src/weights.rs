//! The tensors of a model's file, by name, taken out one by one.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;

use crate::LoadError;

/// What is added to a variance before its root is taken, as PyTorch does by default.
const EPSILON: f64 = 1e-5;

pub(crate) struct Weights {
    tensors: HashMap<String, Tensor>,
    taken: BTreeSet<String>,
}

impl Weights {
    pub fn new(tensors: HashMap<String, Tensor>) -> Self {
        Self { tensors, taken: BTreeSet::new() }
    }

    /// The tensors in a safetensors file, and its metadata.
    pub fn read(path: &Path, file: &[u8]) -> Result<(Self, HashMap<String, String>), LoadError> {
        let format = |source| LoadError::Format { path: path.to_owned(), source };
        let (_, header) = SafeTensors::read_metadata(file).map_err(format)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let tensors = candle_core::safetensors::load_buffer(file, &Device::Cpu)?;
        Ok((Self::new(tensors), metadata))
    }

    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The tensor as 32-bit floats; `None` in `expected` stands for any length.
    pub fn take(&mut self, name: &str, expected: &[Option<usize>]) -> Result<Tensor, LoadError> {
        let shape = || describe(expected);
        let tensor = self.tensors.get(name);
        let tensor =
            tensor.ok_or_else(|| LoadError::MissingTensor { name: name.to_owned(), expected: shape() })?.clone();
        if !fits(expected, tensor.dims()) {
            return Err(LoadError::Shape { name: name.to_owned(), expected: shape(), found: tensor.dims().to_vec() });
        }
        let tensor = tensor.to_dtype(DType::F32)?.contiguous()?;
        if !tensor.flatten_all()?.to_vec1::<f32>()?.iter().all(|value| value.is_finite()) {
            return Err(LoadError::NotFinite { name: name.to_owned() });
        }
        self.taken.insert(name.to_owned());
        Ok(tensor)
    }

    /// A convolution's kernel (out, in, 3, 3) and the bias (out) of the batch norm after it, folded into both.
    pub fn take_convolution(
        &mut self,
        convolution: &str,
        batch_norm: &str,
        channels_out: Option<usize>,
        channels_in: usize,
    ) -> Result<(Tensor, Tensor), LoadError> {
        let kernel =
            self.take(&format!("{convolution}.weight"), &[channels_out, Some(channels_in), Some(3), Some(3)])?;
        let channels = kernel.dim(0)?;
        let mut of = |part: &str| self.take(&format!("{batch_norm}.{part}"), &[Some(channels)]);
        let (weight, bias) = (of("weight")?, of("bias")?);
        let (mean, variance) = (of("running_mean")?, of("running_var")?);
        let scale = (weight / (variance + EPSILON)?.sqrt()?)?;
        let kernel = kernel.broadcast_mul(&scale.reshape((channels, 1, 1, 1))?)?;
        Ok((kernel, (bias - (mean * scale)?)?))
    }

    /// Refuses a file with tensors that the network does not use: it is another network.
    pub fn finish(self) -> Result<(), LoadError> {
        let mut others: Vec<_> = self.tensors.iter().filter(|(name, _)| !self.taken.contains(*name)).collect();
        // PyTorch counts batches in its batch norms; only training uses that.
        others.retain(|(name, _)| !name.ends_with(".num_batches_tracked"));
        match others.into_iter().min_by_key(|(name, _)| *name) {
            None => Ok(()),
            Some((name, tensor)) => {
                Err(LoadError::UnexpectedTensor { name: name.clone(), found: tensor.dims().to_vec() })
            }
        }
    }
}

fn fits(expected: &[Option<usize>], found: &[usize]) -> bool {
    expected.len() == found.len()
        && expected.iter().zip(found).all(|(want, have)| want.is_none_or(|want| want == *have))
}

fn describe(expected: &[Option<usize>]) -> String {
    let lengths: Vec<_> = expected.iter().map(|length| length.map_or("any".to_owned(), |n| n.to_string())).collect();
    format!("[{}]", lengths.join(", "))
}
