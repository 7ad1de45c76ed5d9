//! The innermost product: a few rows of inputs by a few vectors of output channels, all sums in registers.

use super::frame::BLOCK;
use crate::instruction_set::{InstructionSet, Kernel};
use crate::vectors::Vectors;

/// `V` vectors of sums, one after the other output channels, for each of `R` rows.
pub type Sums<S, const R: usize, const V: usize> = [[<S as Vectors>::Vector; V]; R];

/// A kernel that is compiled for register blocks of several shapes.
pub trait InBlocks: Sized {
    /// Computes with blocks of `R` rows by `V` vectors.
    fn run<S: Vectors, const R: usize, const V: usize>(self, simd: S);

    /// Output channels, a multiple of [`BLOCK`].
    fn channels_out(&self) -> usize;

    /// Computes with the blocks that suit the instruction set and the output channels.
    fn run_on(self, set: InstructionSet) {
        set.run(Blocked(self));
    }
}

struct Blocked<K>(K);

impl<K: InBlocks> Kernel for Blocked<K> {
    /// R x V sums must be enough to hide how long an addition takes, and leave registers for a row and the weights.
    /// More vectors halve how often an input is broadcast.
    #[inline(always)]
    fn run<S: Vectors>(self, simd: S) {
        match vectors(S::LANES, S::REGISTERS, self.0.channels_out()) {
            4 => self.0.run::<S, 4, 4>(simd),
            1 => self.0.run::<S, 16, 1>(simd),
            _ if S::REGISTERS < 32 => self.0.run::<S, 4, 2>(simd),
            _ => self.0.run::<S, 8, 2>(simd),
        }
    }
}

/// Vectors of output channels in a register block.
const fn vectors(lanes: usize, registers: usize, channels: usize) -> usize {
    let vectors = channels / lanes;
    if registers < 32 {
        2
    } else if vectors.is_multiple_of(4) {
        4
    } else if vectors.is_multiple_of(2) {
        2
    } else {
        1
    }
}

/// Output channels of a register block, and so of a panel of weights.
pub fn panel(set: InstructionSet, channels: usize) -> usize {
    set.lanes() * vectors(set.lanes(), set.registers(), channels)
}

/// The sums over k of `inputs[k / BLOCK][row][k % BLOCK] * weights[k / BLOCK][k % BLOCK][vector]`.
#[inline(always)]
pub fn product<S: Vectors, const R: usize, const V: usize>(
    simd: S,
    inputs: &[[[f32; BLOCK]; R]],
    weights: &[[[S::Vector; V]; BLOCK]],
) -> Sums<S, R, V> {
    let mut sums = [[simd.splat(0.0); V]; R];
    for (inputs, weights) in inputs.iter().zip(weights) {
        for k in 0..BLOCK {
            for row in 0..R {
                let input = simd.splat(inputs[row][k]);
                for vector in 0..V {
                    sums[row][vector] = simd.add_product(sums[row][vector], input, weights[k][vector]);
                }
            }
        }
    }
    sums
}

/// Weights of a panel as [`product`] takes them.
#[inline(always)]
pub fn weights<S: Vectors, const V: usize>(values: &[f32]) -> &[[[S::Vector; V]; BLOCK]] {
    S::vectors(values).as_chunks::<V>().0.as_chunks::<BLOCK>().0
}

/// Inputs as [`product`] takes them.
#[inline(always)]
pub fn inputs<const R: usize>(values: &[f32]) -> &[[[f32; BLOCK]; R]] {
    values.as_chunks::<BLOCK>().0.as_chunks::<R>().0
}
