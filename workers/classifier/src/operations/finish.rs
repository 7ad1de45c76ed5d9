//! What happens to a sum before it is stored.

use super::convolution::Images;
use super::memory::Aligned;
use crate::vectors::Vectors;

/// Adds the bias and the shortcut, and cuts off what is below the floor.
#[derive(Clone, Copy)]
pub struct Finish<'a, S: Vectors> {
    bias: &'a [S::Vector],
    shortcut: Option<&'a [S::Vector]>,
    floor: f32,
}

impl<'a, S: Vectors> Finish<'a, S> {
    /// `bias` has a number for each output channel.
    #[inline(always)]
    pub fn new(bias: &'a Aligned, images: &Images<'a>) -> Self {
        let shortcut = images.shortcut.map(S::vectors);
        Self { bias: S::vectors(bias.values()), shortcut, floor: images.floor }
    }

    /// Stores at `place` the sum of the vector `group` of the output channels.
    #[inline(always)]
    pub fn store(&self, simd: S, sum: S::Vector, group: usize, output: &mut [S::Vector], place: usize) {
        let mut sum = simd.add(sum, self.bias[group]);
        if let Some(shortcut) = self.shortcut {
            sum = simd.add(sum, shortcut[place]);
        }
        output[place] = simd.maximum(sum, simd.splat(self.floor));
    }
}
