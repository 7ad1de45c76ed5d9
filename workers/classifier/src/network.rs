//! A network laid out for computing with plain operations of Candle.

use candle_core::{Device, Result, Tensor};

use crate::architecture::{Architecture, BlockWeights, ConvolutionWeights, Shortcut as ShortcutWeights};
use crate::convolution::{Convolution, head, pitch, tail, with_border, without_border};
use crate::model::Normalisation;
use crate::pixels::{Pixels, SIDE};

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
    /// A 1x1 convolution of every second pixel of an image of this side.
    Projection {
        side: usize,
        /// (channels in, channels out)
        kernel: Tensor,
        bias: Tensor,
    },
}

impl Network {
    /// # Errors
    /// When a tensor operation fails.
    pub fn new(architecture: &Architecture, normalisation: Normalisation) -> Result<Self> {
        let mut side = SIDE;
        let first = convolution(&architecture.stem, side)?;
        let mut blocks = Vec::new();
        for weights in &architecture.blocks {
            let block = Block::new(weights, side)?;
            side = block.side_out;
            blocks.push(block);
        }
        let linear_weight = architecture.linear_weight.t()?.contiguous()?;
        let linear_bias = architecture.linear_bias.unsqueeze(0)?;
        Ok(Self { normalisation, first, blocks, linear_weight, linear_bias, last_side: side })
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

fn convolution(weights: &ConvolutionWeights, side: usize) -> Result<Convolution> {
    Convolution::new(&weights.kernel, &weights.bias, side, weights.stride)
}

impl Block {
    fn new(weights: &BlockWeights, side: usize) -> Result<Self> {
        let side_out = side / weights.first.stride;
        let shortcut = match &weights.shortcut {
            ShortcutWeights::Identity => Shortcut::Identity,
            &ShortcutWeights::EverySecondPixel { zeros_before, zeros_after } => {
                Shortcut::EverySecondPixel { side, zeros_before, zeros_after }
            }
            ShortcutWeights::Projection(ConvolutionWeights { kernel, bias, .. }) => {
                let kernel = kernel.flatten_from(1)?.t()?.contiguous()?;
                Shortcut::Projection { side, kernel, bias: bias.clone() }
            }
        };
        let (first, second) = (convolution(&weights.first, side)?, convolution(&weights.second, side_out)?);
        Ok(Self { first, second, shortcut, side_out })
    }

    /// A bordered image to a bordered image.
    fn forward(&self, image: &Tensor) -> Result<Tensor> {
        let between = with_border(&self.first.forward(image)?.relu()?, self.side_out)?;
        let sum = (self.second.forward(&between)? + self.shortcut.forward(image, self.side_out)?)?;
        with_border(&sum.relu()?, self.side_out)
    }
}

impl Shortcut {
    /// (side out x pitch, channels) from a bordered image.
    fn forward(&self, image: &Tensor, side_out: usize) -> Result<Tensor> {
        match self {
            Self::Identity => without_border(image, side_out),
            Self::Projection { side, kernel, bias } => {
                every_second_pixel(image, *side, side_out)?.matmul(kernel)?.broadcast_add(bias)
            }
            Self::EverySecondPixel { side, zeros_before, zeros_after } => {
                every_second_pixel(image, *side, side_out)?.pad_with_zeros(1, *zeros_before, *zeros_after)
            }
        }
    }
}

/// (side out x pitch, channels)
fn every_second_pixel(image: &Tensor, side: usize, side_out: usize) -> Result<Tensor> {
    let channels = image.dim(1)?;
    let pixels = without_border(image, side)?.reshape((side_out, 2, pitch(side) / 2, 2, channels))?;
    let pixels = pixels.narrow(1, 0, 1)?.narrow(3, 0, 1)?.reshape((side_out, pitch(side) / 2, channels))?;
    let pixels = pixels.pad_with_zeros(1, 0, pitch(side_out) - pitch(side) / 2)?;
    pixels.reshape((side_out * pitch(side_out), channels))
}
