//! How a layer computes: in place, as an operation of Candle.

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, bail};

use super::frame::Frame;

/// A layer that makes bordered images of bordered images.
pub trait Layer {
    /// What errors call it.
    const NAME: &'static str;

    /// How the images are laid out that it computes from, and to.
    fn frames(&self) -> (Frame, Frame);

    /// Writes all of the output but its border, `count` images.
    fn compute(&self, count: usize, input: &[f32], output: &mut [f32]);
}

/// Computes a layer into a tensor that is there. What the layer reads of it before it writes is the layer's matter.
///
/// # Errors
/// When the images are not laid out as the layer wants them, or are not as many as the output has room for.
pub fn compute_into(output: &Tensor, layer: impl Layer, images: &Tensor) -> Result<()> {
    output.inplace_op2(images, &InPlace(layer))
}

struct InPlace<L>(L);

impl<L: Layer> InplaceOp2 for InPlace<L> {
    fn name(&self) -> &'static str {
        L::NAME
    }

    fn cpu_fwd(
        &self,
        output: &mut CpuStorage,
        output_layout: &Layout,
        input: &CpuStorage,
        input_layout: &Layout,
    ) -> Result<()> {
        let (from, to) = self.0.frames();
        let (input, count) = super::images(input, input_layout, from)?;
        let (output, outputs) = super::images_mut(output, output_layout, to)?;
        if outputs != count {
            bail!("{}: {count} images into {outputs}", L::NAME);
        }
        self.0.compute(count, input, output);
        Ok(())
    }
}
