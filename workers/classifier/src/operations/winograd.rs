//! 3x3 convolution with stride 1 by Winograd's minimal filtering.
//!
//! The image is cut into tiles of M x M outputs. The N x N inputs of a tile, N = M + 2, and the kernel are transformed;
//! at each of the N x N positions the transformed inputs (tiles, channels in) times the transformed kernel (channels
//! in, channels out) is a matrix product; its results are transformed back. Lavin & Gray, "Fast Algorithms for
//! Convolutional Neural Networks" (2015), section 4. A block of tiles goes through all three steps while it is in the
//! cache.

use std::marker::PhantomData;

use super::convolution::{Images, Kernel};
use super::finish::Finish;
use super::frame::{BLOCK, Frame, Raster};
use super::memory::{Aligned, LINE_VALUES, with_scratch};
use super::register_block::{self, InBlocks, panel, product};
use super::transform::Transform;
use crate::instruction_set::InstructionSet;
use crate::vectors::Vectors;

/// Tiles that are transformed and multiplied together.
const TILES: usize = 16;

/// A convolution by F(M x M, 3 x 3).
pub struct Winograd<T, const N: usize, const M: usize> {
    set: InstructionSet,
    from: Frame,
    to: Frame,
    /// (panels of channels out, N x N positions, channels in, channels of a panel)
    weights: Aligned,
    bias: Aligned,
    transform: PhantomData<T>,
}

impl<T: Transform<N, M>, const N: usize, const M: usize> Winograd<T, N, M> {
    /// `side` is a multiple of M.
    pub fn new(set: InstructionSet, kernel: &Kernel, bias: &[f32], side: usize) -> Self {
        let (from, to) = (Frame::in_blocks(side, kernel.channels_in), Frame::in_blocks(side, kernel.channels_out));
        let width = panel(set, to.channels);
        let mut weights = Aligned::zeros(N * N * from.channels * to.channels);
        for output in 0..kernel.channels_out {
            for input in 0..kernel.channels_in {
                for (position, value) in transformed::<T, N, M>(kernel, output, input).into_iter().enumerate() {
                    let row = ((output / width) * N * N + position) * from.channels + input;
                    weights.values_mut()[row * width + output % width] = value;
                }
            }
        }
        Self { set, from, to, weights, bias: Aligned::padded(bias, to.channels), transform: PhantomData }
    }

    /// Computes all images; `images` are laid out as `from` and `to` say.
    pub fn run(&self, images: Images) {
        let width = panel(self.set, self.to.channels);
        let strides = Strides { inputs: TILES * self.from.channels + LINE_VALUES, products: (TILES + 1) * width };
        with_scratch(N * N * strides.inputs, N * N * strides.products, |inputs, products| {
            Pass { convolution: self, strides, images, inputs, products }.run_on(self.set);
        });
    }

    /// The first pixel of a tile of a batch, counted over all pixels with their borders.
    #[inline(always)]
    fn place(&self, (image, row, column): (usize, usize, usize)) -> usize {
        image * self.from.pixels() + (row * self.from.pitch() + column) * M
    }
}

/// G g G^T, row by row.
fn transformed<T: Transform<N, M>, const N: usize, const M: usize>(
    kernel: &Kernel,
    output: usize,
    input: usize,
) -> Vec<f32> {
    let mut values = Vec::with_capacity(N * N);
    for row in T::KERNEL {
        for column in T::KERNEL {
            let mut sum = 0.0;
            for (y, from_row) in row.iter().enumerate() {
                for (x, from_column) in column.iter().enumerate() {
                    sum += from_row * from_column * kernel.at(output, input, y, x);
                }
            }
            values.push(sum);
        }
    }
    values
}

/// A column of as many rows.
#[inline(always)]
fn column<V: Copy, const W: usize, const N: usize>(rows: &[[V; W]; N], x: usize) -> [V; N] {
    let mut column = [rows[0][x]; N];
    for y in 1..N {
        column[y] = rows[y][x];
    }
    column
}

/// Distances in memory, in numbers.
///
/// The positions are a little further apart than they need to be: at a power of two, all those of a tile would share
/// one set of the cache.
#[derive(Clone, Copy)]
struct Strides {
    /// From the inputs of a position to those of the next.
    inputs: usize,
    /// From the products of a position to those of the next.
    products: usize,
}

/// A batch on its way through the convolution.
struct Pass<'a, T, const N: usize, const M: usize> {
    convolution: &'a Winograd<T, N, M>,
    strides: Strides,
    images: Images<'a>,
    /// (N x N positions, groups of R tiles, blocks of channels in, R, BLOCK)
    inputs: &'a mut [f32],
    /// (N x N positions, TILES, channels of a panel)
    products: &'a mut [f32],
}

impl<T: Transform<N, M>, const N: usize, const M: usize> InBlocks for Pass<'_, T, N, M> {
    fn channels_out(&self) -> usize {
        self.convolution.to.channels
    }

    #[inline(always)]
    fn run<S: Vectors, const R: usize, const V: usize>(self, simd: S) {
        self.all_tiles::<S, R, V>(simd);
    }
}

impl<T: Transform<N, M>, const N: usize, const M: usize> Pass<'_, T, N, M> {
    #[inline(always)]
    fn all_tiles<S: Vectors, const R: usize, const V: usize>(mut self, simd: S) {
        let convolution = self.convolution;
        let tiles = self.images.count * (convolution.from.side / M) * (convolution.from.side / M);
        let panels = convolution.to.channels / (V * S::LANES);
        let mut raster = Raster::new(convolution.from.side / M);
        for first in (0..tiles).step_by(TILES) {
            let count = TILES.min(tiles - first);
            let mut places = [0; TILES];
            for tile in 0..count {
                places[tile] = convolution.place(raster.step());
            }
            let places = &places[..count];
            self.transform_inputs::<S, R>(simd, places);
            for panel in 0..panels {
                self.multiply::<S, R, V>(simd, panel, count.div_ceil(R));
                self.transform_outputs::<S, V>(simd, panel, places);
            }
        }
    }

    #[inline(always)]
    fn transform_inputs<S: Vectors, const R: usize>(&mut self, simd: S, places: &[usize]) {
        let Frame { channels, .. } = self.convolution.from;
        let (groups, pitch) = (channels / S::LANES, self.convolution.from.pitch());
        let (vectors_of_block, blocks) = (BLOCK / S::LANES, channels / BLOCK);
        let stride = self.strides.inputs / S::LANES;
        let image = S::vectors(self.images.input);
        let inputs = S::vectors_mut(self.inputs);
        // Made once: each tile writes all of it, and to fill it with zeros before took a twelfth of the whole time.
        let mut half = [[simd.splat(0.0); N]; N];
        for (tile, place) in places.iter().enumerate() {
            for group in 0..groups {
                for y in 0..N {
                    let mut row = [simd.splat(0.0); N];
                    for x in 0..N {
                        row[x] = image[(place + y * pitch + x) * groups + group];
                    }
                    half[y] = T::input(simd, row);
                }
                let (block, vector) = (group / vectors_of_block, group % vectors_of_block);
                let row = (tile / R * blocks + block) * R + tile % R;
                let to = row * vectors_of_block + vector;
                for x in 0..N {
                    let column = T::input(simd, column(&half, x));
                    for y in 0..N {
                        inputs[to + (y * N + x) * stride] = column[y];
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn multiply<S: Vectors, const R: usize, const V: usize>(&mut self, simd: S, panel: usize, groups_of_tiles: usize) {
        let blocks = self.convolution.from.channels / BLOCK;
        let weights = register_block::weights::<S, V>(self.convolution.weights.values());
        let weights = weights[panel * N * N * blocks..].chunks_exact(blocks);
        let inputs = self.inputs.chunks_exact(self.strides.inputs);
        let products = self.products.chunks_exact_mut(self.strides.products);
        for ((inputs, weights), products) in inputs.zip(weights).zip(products) {
            let inputs = register_block::inputs::<R>(inputs).chunks_exact(blocks).take(groups_of_tiles);
            let (products, _) = S::vectors_mut(products).as_chunks_mut::<V>().0.as_chunks_mut::<R>();
            for (inputs, products) in inputs.zip(products) {
                *products = product::<S, R, V>(simd, inputs, weights);
            }
        }
    }

    #[inline(always)]
    fn transform_outputs<S: Vectors, const V: usize>(&mut self, simd: S, panel: usize, places: &[usize]) {
        let Frame { channels, .. } = self.convolution.to;
        let (groups, pitch) = (channels / S::LANES, self.convolution.to.pitch());
        let finish = Finish::<S>::new(&self.convolution.bias, &self.images);
        let stride = self.strides.products / S::LANES;
        let products = S::vectors(self.products);
        let output = S::vectors_mut(self.images.output);
        let mut half = [[simd.splat(0.0); M]; N];
        for (tile, place) in places.iter().enumerate() {
            for vector in 0..V {
                for y in 0..N {
                    let mut row = [simd.splat(0.0); N];
                    for x in 0..N {
                        row[x] = products[(y * N + x) * stride + tile * V + vector];
                    }
                    half[y] = T::output(simd, row);
                }
                let group = panel * V + vector;
                for x in 0..M {
                    let column = T::output(simd, column(&half, x));
                    for y in 0..M {
                        let pixel = place + (y + 1) * pitch + x + 1;
                        finish.store(simd, column[y], group, output, pixel * groups + group);
                    }
                }
            }
        }
    }
}
