//! A convolution with its bias, its ReLU and the sum with a shortcut, as one operation of Candle.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::direct::Direct;
use super::frame::Frame;
use super::transform::{F2, F4};
use super::winograd::Winograd;
use crate::architecture::ConvolutionWeights;
use crate::instruction_set::InstructionSet;

/// A convolution, ready to compute.
pub struct Convolution {
    method: Method,
    from: Frame,
    to: Frame,
    /// What is below is cut off.
    floor: f32,
}

enum Method {
    Direct(Direct),
    F2(Winograd<F2, 4, 2>),
    F4(Winograd<F4, 6, 4>),
}

/// What is computed after the sums.
#[derive(Clone, Copy, PartialEq)]
pub enum Activation {
    None,
    Relu,
}

/// A convolution's kernel (channels out, channels in, size, size).
pub struct Kernel {
    pub channels_out: usize,
    pub channels_in: usize,
    /// 3 or 1.
    pub size: usize,
    pub values: Vec<f32>,
}

/// What a convolution computes from and to, each image laid out as a [`Frame`].
pub struct Images<'a> {
    pub count: usize,
    pub input: &'a [f32],
    /// Laid out as the output, and added to it.
    pub shortcut: Option<&'a [f32]>,
    /// Zeros at first; the border stays so.
    pub output: &'a mut [f32],
    /// What is below is cut off: zero for a ReLU, negative infinity for none.
    pub floor: f32,
}

impl Kernel {
    fn new(kernel: &Tensor) -> Result<Self> {
        let (channels_out, channels_in, height, width) = kernel.dims4()?;
        if height != width || !matches!(width, 1 | 3) {
            bail!("a kernel of {height} x {width} in place of 1 x 1 or 3 x 3");
        }
        Ok(Self { channels_out, channels_in, size: width, values: kernel.flatten_all()?.to_vec1()? })
    }

    pub fn at(&self, output: usize, input: usize, y: usize, x: usize) -> f32 {
        self.values[((output * self.channels_in + input) * self.size + y) * self.size + x]
    }
}

impl Method {
    /// What took the least time in measurements: Winograd's wherever its tiles fit, the larger ones first.
    fn new(set: InstructionSet, kernel: &Kernel, bias: &[f32], from: Frame, stride: usize) -> Self {
        let winograd = kernel.size == 3 && stride == 1 && from.channels == Frame::in_blocks(0, from.channels).channels;
        match from.side {
            side if winograd && side >= 8 && side % 4 == 0 => Self::F4(Winograd::new(set, kernel, bias, side)),
            side if winograd && side % 2 == 0 => Self::F2(Winograd::new(set, kernel, bias, side)),
            _ => Self::Direct(Direct::new(set, kernel, bias, from, stride)),
        }
    }
}

impl Convolution {
    /// From images laid out as `from`.
    ///
    /// # Errors
    /// When the kernel is neither 3x3 nor 1x1, or the stride does not divide the side.
    pub fn new(set: InstructionSet, weights: &ConvolutionWeights, from: Frame, activation: Activation) -> Result<Self> {
        let (kernel, bias) = (Kernel::new(&weights.kernel)?, weights.bias.to_vec1()?);
        if weights.stride == 0 || !from.side.is_multiple_of(weights.stride) {
            bail!("a stride of {} over {} pixels", weights.stride, from.side);
        }
        let to = Frame::in_blocks(from.side / weights.stride, kernel.channels_out);
        let method = Method::new(set, &kernel, &bias, from, weights.stride);
        let floor = if activation == Activation::Relu { 0.0 } else { f32::NEG_INFINITY };
        Ok(Self { method, from, to, floor })
    }

    /// How the output is laid out.
    pub fn to(&self) -> Frame {
        self.to
    }

    /// (images, pixels, channels) to (images, pixels, channels).
    pub fn forward(&self, images: &Tensor) -> Result<Tensor> {
        images.apply_op1_no_bwd(self)
    }

    /// The same, with a shortcut laid out as the output added before the ReLU.
    pub fn forward_with_shortcut(&self, images: &Tensor, shortcut: &Tensor) -> Result<Tensor> {
        images.apply_op2_no_bwd(shortcut, self)
    }

    fn compute(&self, count: usize, input: &[f32], shortcut: Option<&[f32]>) -> (CpuStorage, Shape) {
        let mut output = vec![0.0; count * self.to.values()];
        let images = Images { count, input, shortcut, output: &mut output, floor: self.floor };
        match &self.method {
            Method::Direct(direct) => direct.run(images),
            Method::F2(winograd) => winograd.run(images),
            Method::F4(winograd) => winograd.run(images),
        }
        (CpuStorage::F32(output), Shape::from((count, self.to.pixels(), self.to.channels)))
    }
}

impl CustomOp1 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (input, count) = super::images(storage, layout, self.from)?;
        Ok(self.compute(count, input, None))
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "convolution with a shortcut"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
        shortcut_storage: &CpuStorage,
        shortcut_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (input, count) = super::images(storage, layout, self.from)?;
        let (shortcut, shortcuts) = super::images(shortcut_storage, shortcut_layout, self.to)?;
        if shortcuts != count {
            bail!("{shortcuts} shortcuts for {count} images");
        }
        Ok(self.compute(count, input, Some(shortcut)))
    }
}
