//! A convolution with its bias, its ReLU and the sum with a shortcut, as one operation of Candle.

use candle_core::{Result, Tensor, bail};

use super::batch::Batch;
use super::direct::Direct;
use super::frame::Frame;
use super::layer::{Layer, compute_into};
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
    /// All but the border is written.
    pub output: &'a mut [f32],
    /// The output holds a shortcut, to which the sums are added.
    pub onto_shortcut: bool,
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
    ///
    /// # Errors
    /// When the images are not laid out as they should be.
    pub fn forward(&self, images: &Tensor) -> Result<Batch> {
        Batch::computed(Forward { convolution: self, onto_shortcut: false }, images)
    }

    /// The same, added to a shortcut before the ReLU, in its place.
    ///
    /// # Errors
    /// When the images or the shortcut are not laid out as they should be.
    pub fn forward_onto(&self, shortcut: &Tensor, images: &Tensor) -> Result<()> {
        compute_into(shortcut, Forward { convolution: self, onto_shortcut: true }, images)
    }
}

/// A convolution, by itself or with a shortcut.
struct Forward<'a> {
    convolution: &'a Convolution,
    /// The output holds a shortcut, to which the sums are added.
    onto_shortcut: bool,
}

impl Layer for Forward<'_> {
    const NAME: &'static str = "convolution";

    fn frames(&self) -> (Frame, Frame) {
        (self.convolution.from, self.convolution.to)
    }

    fn compute(&self, count: usize, input: &[f32], output: &mut [f32]) {
        let Convolution { method, floor, .. } = self.convolution;
        let images = Images { count, input, output, onto_shortcut: self.onto_shortcut, floor: *floor };
        match method {
            Method::Direct(direct) => direct.run(images),
            Method::F2(winograd) => winograd.run(images),
            Method::F4(winograd) => winograd.run(images),
        }
    }
}
