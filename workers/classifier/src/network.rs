//! ResNets for CIFAR: He et al., "Deep Residual Learning for Image Recognition" (2015), section 4.2, with shortcuts of
//! option A (every second pixel, zeros for the new channels). Depth, widths and classes are read off the weights.

use candle_core::{Device, Result, Tensor};

use crate::LoadError;
use crate::convolution::{Convolution, head, pitch, tail, with_border, without_border};
use crate::model::Normalisation;
use crate::pixels::{Pixels, SIDE};
use crate::weights::Weights;

const STAGES: usize = 3;

pub(crate) struct Network {
    normalisation: Normalisation,
    first: Convolution,
    blocks: Vec<Block>,
    /// (channels, classes)
    linear_weight: Tensor,
    /// (1, classes)
    linear_bias: Tensor,
    last_side: usize,
}

/// Two convolutions and a shortcut around them.
struct Block {
    first: Convolution,
    second: Convolution,
    shortcut: Shortcut,
    side_out: usize,
}

enum Shortcut {
    Identity,
    /// Every second pixel of an image of this side, with this many channels of zeros before and after its own.
    EverySecondPixel {
        side: usize,
        zeros_before: usize,
        zeros_after: usize,
    },
}

impl Network {
    /// # Errors
    /// A [`LoadError`] that names the tensor that is missing, too many, or of another shape.
    pub fn new(weights: &mut Weights, normalisation: Normalisation) -> std::result::Result<Self, LoadError> {
        let (kernel, bias) = weights.take_convolution("conv1", "bn1", None, 3)?;
        let first = Convolution::new(&kernel, &bias, SIDE, 1)?;
        let (mut side, mut channels) = (SIDE, bias.dim(0)?);
        let mut blocks = Vec::new();
        for stage in 1..=STAGES {
            for number in 0.. {
                let name = format!("layer{stage}.{number}");
                if number > 0 && !weights.contains(&format!("{name}.conv1.weight")) {
                    break;
                }
                let stride = if stage > 1 && number == 0 { 2 } else { 1 };
                let (block, channels_out) = Block::new(weights, &name, side, channels, stride)?;
                blocks.push(block);
                (side, channels) = (side / stride, channels_out);
            }
        }
        let linear_weight = weights.take("linear.weight", &[None, Some(channels)])?.t()?.contiguous()?;
        let linear_bias = weights.take("linear.bias", &[Some(linear_weight.dim(1)?)])?.unsqueeze(0)?;
        Ok(Self { normalisation, first, blocks, linear_weight, linear_bias, last_side: side })
    }

    /// How many classes the network tells apart.
    pub fn classes(&self) -> Result<usize> {
        self.linear_bias.dim(1)
    }

    /// One logit a class.
    pub fn logits(&self, pixels: &Pixels) -> Result<Vec<f32>> {
        let mut image = with_border(&self.first.forward(&self.input(pixels)?)?.relu()?, SIDE)?;
        for block in &self.blocks {
            image = block.forward(&image)?;
        }
        let pixels = (self.last_side * self.last_side) as f64;
        let means = (image.sum_keepdim(0)? / pixels)?;
        (means.matmul(&self.linear_weight)? + &self.linear_bias)?.squeeze(0)?.to_vec1()
    }

    /// The normalised image with its border.
    fn input(&self, pixels: &Pixels) -> Result<Tensor> {
        let Normalisation { mean, std } = self.normalisation;
        let rows = head(SIDE) + SIDE * pitch(SIDE) + tail(SIDE);
        let mut values = vec![0f32; rows * 3];
        let (bordered, lines) = (&mut values[head(SIDE) * 3..], pixels.as_bytes().chunks_exact(SIDE * 3));
        for (to, from) in bordered.chunks_exact_mut(pitch(SIDE) * 3).zip(lines) {
            for (to, from) in to.chunks_exact_mut(3).zip(from.chunks_exact(3)) {
                for channel in 0..3 {
                    to[channel] = (f32::from(from[channel]) / 255.0 - mean[channel]) / std[channel];
                }
            }
        }
        Tensor::from_vec(values, (rows, 3), &Device::Cpu)
    }
}

impl Block {
    fn new(
        weights: &mut Weights,
        name: &str,
        side: usize,
        channels_in: usize,
        stride: usize,
    ) -> std::result::Result<(Self, usize), LoadError> {
        let channels = (stride == 1).then_some(channels_in);
        let mut take = |number: usize, channels, channels_in| {
            weights.take_convolution(
                &format!("{name}.conv{number}"),
                &format!("{name}.bn{number}"),
                channels,
                channels_in,
            )
        };
        let (kernel, bias) = take(1, channels, channels_in)?;
        let channels = bias.dim(0)?;
        let first = Convolution::new(&kernel, &bias, side, stride)?;
        let (kernel, bias) = take(2, Some(channels), channels)?;
        let side_out = side / stride;
        let second = Convolution::new(&kernel, &bias, side_out, 1)?;
        let shortcut = Shortcut::new(&format!("{name}.conv1.weight"), side, channels_in, channels, stride)?;
        Ok((Self { first, second, shortcut, side_out }, channels))
    }

    /// A bordered image to a bordered image.
    fn forward(&self, image: &Tensor) -> Result<Tensor> {
        let between = with_border(&self.first.forward(image)?.relu()?, self.side_out)?;
        let sum = (self.second.forward(&between)? + self.shortcut.forward(image, self.side_out)?)?;
        with_border(&sum.relu()?, self.side_out)
    }
}

impl Shortcut {
    fn new(
        tensor: &str,
        side: usize,
        channels_in: usize,
        channels: usize,
        stride: usize,
    ) -> std::result::Result<Self, LoadError> {
        if stride == 1 {
            return Ok(Self::Identity);
        }
        let zeros = channels.checked_sub(channels_in).ok_or_else(|| LoadError::Shape {
            name: tensor.to_owned(),
            expected: format!("[{channels_in} or more, {channels_in}, 3, 3]"),
            found: vec![channels, channels_in, 3, 3],
        })?;
        Ok(Self::EverySecondPixel { side, zeros_before: zeros / 2, zeros_after: zeros - zeros / 2 })
    }

    /// (side out x pitch, channels) from a bordered image.
    fn forward(&self, image: &Tensor, side_out: usize) -> Result<Tensor> {
        match *self {
            Self::Identity => without_border(image, side_out),
            Self::EverySecondPixel { side, zeros_before, zeros_after } => {
                let channels = image.dim(1)?;
                let pixels = without_border(image, side)?.reshape((side_out, 2, pitch(side) / 2, 2, channels))?;
                let pixels = pixels.narrow(1, 0, 1)?.narrow(3, 0, 1)?.reshape((side_out, pitch(side) / 2, channels))?;
                let pixels = pixels.pad_with_zeros(1, 0, pitch(side_out) - pitch(side) / 2)?;
                let pixels = pixels.pad_with_zeros(2, zeros_before, zeros_after)?;
                pixels.reshape((side_out * pitch(side_out), channels + zeros_before + zeros_after))
            }
        }
    }
}
