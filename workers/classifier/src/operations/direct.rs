//! Convolution as one matrix product: the inputs that a pixel of the output sees are gathered, a block of pixels at a
//! time, and multiplied with the whole kernel.

use super::convolution::{Images, Kernel};
use super::finish::Finish;
use super::frame::{BLOCK, Frame, Raster};
use super::memory::{Aligned, with_scratch};
use super::register_block::{self, InBlocks, panel, product};
use crate::instruction_set::InstructionSet;
use crate::vectors::Vectors;

/// Pixels that are gathered and multiplied together.
const PIXELS: usize = 16;

/// Channels of an image that has not whole blocks of them are a multiple of this.
pub const QUAD: usize = 4;

/// A convolution of any size and stride.
pub struct Direct {
    set: InstructionSet,
    from: Frame,
    to: Frame,
    size: usize,
    stride: usize,
    /// Numbers that a pixel of the output sees, in whole blocks.
    inputs: usize,
    /// (panels of channels out, inputs, channels of a panel)
    weights: Aligned,
    bias: Aligned,
}

impl Direct {
    /// From images laid out as `from`.
    pub fn new(set: InstructionSet, kernel: &Kernel, bias: &[f32], from: Frame, stride: usize) -> Self {
        let to = Frame::in_blocks(from.side / stride, kernel.channels_out);
        let inputs = (kernel.size * kernel.size * from.channels).next_multiple_of(BLOCK);
        let width = panel(set, to.channels);
        let mut weights = Aligned::zeros(inputs * to.channels);
        for output in 0..kernel.channels_out {
            for y in 0..kernel.size {
                for x in 0..kernel.size {
                    for input in 0..kernel.channels_in {
                        let row = (y * kernel.size + x) * from.channels + input;
                        let place = ((output / width) * inputs + row) * width + output % width;
                        weights.values_mut()[place] = kernel.at(output, input, y, x);
                    }
                }
            }
        }
        let bias = Aligned::padded(bias, to.channels);
        Self { set, from, to, size: kernel.size, stride, inputs, weights, bias }
    }

    /// Computes all images.
    pub fn run(&self, images: Images) {
        with_scratch(PIXELS * self.inputs, 0, |inputs, _| {
            Pass { convolution: self, images, inputs }.run_on(self.set);
        });
    }

    /// For a pixel of the output: the first pixel that it sees, and itself, counted over all pixels with their borders.
    #[inline(always)]
    fn places(&self, (image, y, x): (usize, usize, usize)) -> (usize, usize) {
        let before = 1 - self.size / 2;
        let from =
            image * self.from.pixels() + (y * self.stride + before) * self.from.pitch() + x * self.stride + before;
        (from, image * self.to.pixels() + (y + 1) * self.to.pitch() + x + 1)
    }
}

/// A batch on its way through the convolution.
struct Pass<'a> {
    convolution: &'a Direct,
    images: Images<'a>,
    /// (groups of R pixels, blocks of inputs, R, BLOCK)
    inputs: &'a mut [f32],
}

impl InBlocks for Pass<'_> {
    fn channels_out(&self) -> usize {
        self.convolution.to.channels
    }

    #[inline(always)]
    fn run<S: Vectors, const R: usize, const V: usize>(self, simd: S) {
        self.all_pixels::<S, R, V>(simd);
    }
}

impl Pass<'_> {
    #[inline(always)]
    fn all_pixels<S: Vectors, const R: usize, const V: usize>(mut self, simd: S) {
        let convolution = self.convolution;
        let pixels = self.images.count * convolution.to.side * convolution.to.side;
        let whole_blocks = convolution.from.channels.is_multiple_of(BLOCK);
        if !whole_blocks {
            self.inputs.fill(0.0);
        }
        let mut raster = Raster::new(convolution.to.side);
        for first in (0..pixels).step_by(PIXELS) {
            let count = PIXELS.min(pixels - first);
            let mut places = [0; PIXELS];
            for pixel in 0..count {
                let (from, to) = convolution.places(raster.step());
                places[pixel] = to;
                if whole_blocks {
                    self.gather::<R, BLOCK, 1>(pixel, from);
                } else {
                    self.gather::<R, QUAD, { BLOCK / QUAD }>(pixel, from);
                }
            }
            self.multiply::<S, R, V>(simd, &places[..count]);
        }
    }

    /// Brings together what a pixel sees, `C` channels at a time, of which `P` are a block. In a row of the kernel they
    /// lie one behind the other.
    #[inline(always)]
    fn gather<const R: usize, const C: usize, const P: usize>(&mut self, pixel: usize, from: usize) {
        let Direct { from: Frame { channels, .. }, size, inputs, .. } = *self.convolution;
        let (run, pitch) = (size * channels, self.convolution.from.pitch() * channels);
        let seen = self.images.input[from * channels..].chunks(pitch).take(size);
        let blocks = self.inputs.as_chunks_mut::<C>().0.as_chunks_mut::<P>().0;
        let blocks = &mut blocks[pixel / R * (inputs / BLOCK) * R + pixel % R..];
        let mut gathered = blocks.iter_mut().step_by(R).flatten();
        for seen in seen {
            for (seen, gathered) in seen[..run].as_chunks().0.iter().zip(gathered.by_ref()) {
                *gathered = *seen;
            }
        }
    }

    #[inline(always)]
    fn multiply<S: Vectors, const R: usize, const V: usize>(&mut self, simd: S, places: &[usize]) {
        let (blocks, groups) = (self.convolution.inputs / BLOCK, self.convolution.to.channels / S::LANES);
        let finish = Finish::<S>::new(&self.convolution.bias, &self.images);
        let output = S::vectors_mut(self.images.output);
        let weights = register_block::weights::<S, V>(self.convolution.weights.values()).chunks_exact(blocks);
        for (panel, weights) in weights.take(groups / V).enumerate() {
            let inputs = register_block::inputs::<R>(self.inputs).chunks_exact(blocks);
            for (inputs, places) in inputs.zip(places.chunks(R)) {
                let sums = product::<S, R, V>(simd, inputs, weights);
                for (sums, place) in sums.iter().zip(places) {
                    for vector in 0..V {
                        let group = panel * V + vector;
                        finish.store(simd, sums[vector], group, output, place * groups + group);
                    }
                }
            }
        }
    }
}
