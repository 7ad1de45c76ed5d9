//! A network laid out for computing with operations of its own.

use candle_core::{Device, Result, Tensor};

use crate::architecture::{Architecture, BlockWeights, Shortcut as ShortcutWeights};
use crate::instruction_set::InstructionSet;
use crate::model::Normalisation;
use crate::operations::{Activation, Batch, Convolution, Frame, MaxPool, Scores, Subsample};
use crate::pixels::{Pixels, SIDE};

/// Images that are computed together: enough that weights are read once for many, few enough that what two layers of
/// ResNet-20 compute (148 KB an image) stays in a core's cache.
const BATCH: usize = 4;
/// The image with its three colours, and one that is zero: four numbers are copied as one.
const INPUT: Frame = Frame::new(SIDE, 4);

pub(crate) struct Network {
    /// What a byte of each colour becomes.
    colours: [[f32; 256]; 3],
    stem: Convolution,
    pool: Option<MaxPool>,
    blocks: Vec<Block>,
    scores: Scores,
}

/// Two convolutions and a shortcut around them.
struct Block {
    first: Convolution,
    second: Convolution,
    shortcut: Shortcut,
}

enum Shortcut {
    Identity,
    EverySecondPixel(Subsample),
    Projection(Convolution),
}

impl Network {
    /// # Errors
    /// When the weights do not fit each other.
    pub fn new(
        set: InstructionSet,
        architecture: &Architecture,
        normalisation: Normalisation,
        max_pool: bool,
    ) -> Result<Self> {
        let stem = Convolution::new(set, &architecture.stem, INPUT, Activation::Relu)?;
        let mut blocks = Vec::new();
        let pool = if max_pool { Some(MaxPool::new(stem.to())?) } else { None };
        let of_stem = pool.as_ref().map_or(stem.to(), MaxPool::to);
        let (mut frame, mut channels) = (of_stem, architecture.stem.bias.dim(0)?);
        for weights in &architecture.blocks {
            let block = Block::new(set, weights, frame, channels)?;
            (frame, channels) = (block.second.to(), weights.second.bias.dim(0)?);
            blocks.push(block);
        }
        let scores = Scores::new(frame, &architecture.linear_weight, &architecture.linear_bias)?;
        Ok(Self { colours: colours(normalisation), stem, pool, blocks, scores })
    }

    /// One logit a class, for each image.
    pub fn logits(&self, images: &[Pixels]) -> Result<Vec<Vec<f32>>> {
        let mut logits = Vec::with_capacity(images.len());
        for images in images.chunks(BATCH) {
            let mut batch = self.stem.forward(&self.input(images)?)?;
            if let Some(pool) = &self.pool {
                batch = pool.forward(&batch)?;
            }
            for block in &self.blocks {
                batch = block.forward(batch)?;
            }
            logits.extend(self.scores.forward(&batch)?.to_vec2()?);
        }
        Ok(logits)
    }

    /// The normalised images with their borders.
    fn input(&self, images: &[Pixels]) -> Result<Tensor> {
        let mut values = vec![0.0; images.len() * INPUT.values()];
        for (image, values) in images.iter().zip(values.chunks_exact_mut(INPUT.values())) {
            for (y, row) in image.as_bytes().as_chunks::<3>().0.chunks_exact(SIDE).enumerate() {
                let start = INPUT.pixel(y, 0);
                let to = values[start..start + SIDE * INPUT.channels].as_chunks_mut().0;
                for (to, [red, green, blue]) in to.iter_mut().zip(row) {
                    let [reds, greens, blues] = &self.colours;
                    *to = [reds[usize::from(*red)], greens[usize::from(*green)], blues[usize::from(*blue)], 0.0];
                }
            }
        }
        Tensor::from_vec(values, (images.len(), INPUT.pixels(), INPUT.channels), &Device::Cpu)
    }
}

fn colours(Normalisation { mean, std }: Normalisation) -> [[f32; 256]; 3] {
    let value = |colour: usize, byte: usize| (byte as f32 / 255.0 - mean[colour]) / std[colour];
    std::array::from_fn(|colour| std::array::from_fn(|byte| value(colour, byte)))
}

impl Block {
    fn new(set: InstructionSet, weights: &BlockWeights, from: Frame, channels: usize) -> Result<Self> {
        let first = Convolution::new(set, &weights.first, from, Activation::Relu)?;
        let second = Convolution::new(set, &weights.second, first.to(), Activation::Relu)?;
        let shortcut = match &weights.shortcut {
            ShortcutWeights::Identity => Shortcut::Identity,
            &ShortcutWeights::EverySecondPixel { zeros_before, zeros_after } => {
                let zeros = (zeros_before, zeros_after);
                Shortcut::EverySecondPixel(Subsample::new(from, second.to(), channels, zeros)?)
            }
            ShortcutWeights::Projection(weights) => {
                Shortcut::Projection(Convolution::new(set, weights, from, Activation::None)?)
            }
        };
        Ok(Self { first, second, shortcut })
    }

    fn forward(&self, images: Batch) -> Result<Batch> {
        let between = self.first.forward(&images)?;
        let shortcut = match &self.shortcut {
            Shortcut::Identity => images,
            Shortcut::EverySecondPixel(subsample) => subsample.forward(&images)?,
            Shortcut::Projection(projection) => projection.forward(&images)?,
        };
        self.second.forward_onto(&shortcut, &between)?;
        Ok(shortcut)
    }
}
