//! What happens to a sum before it is stored.

use super::convolution::Images;
use super::memory::Aligned;
use crate::vectors::Vectors;

/// Adds the bias and, where there is one, the shortcut, and cuts off what is below the floor.
#[derive(Clone, Copy)]
pub struct Finish<'a, S: Vectors> {
    bias: &'a [S::Vector],
    onto_shortcut: bool,
    floor: f32,
}

impl<'a, S: Vectors> Finish<'a, S> {
    /// `bias` has a number for each output channel.
    #[inline(always)]
    pub fn new(bias: &'a Aligned, images: &Images) -> Self {
        Self { bias: S::vectors(bias.values()), onto_shortcut: images.onto_shortcut, floor: images.floor }
    }

    /// Stores at `place` the sum of the vector `group` of the output channels.
    #[inline(always)]
    pub fn store(&self, simd: S, sum: S::Vector, group: usize, output: &mut [S::Vector], place: usize) {
        let mut sum = simd.add(sum, self.bias[group]);
        if self.onto_shortcut {
            sum = simd.add(sum, output[place]);
        }
        output[place] = simd.maximum(sum, simd.splat(self.floor));
    }
}
