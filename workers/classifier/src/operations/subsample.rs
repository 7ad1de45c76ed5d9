//! The shortcut of option A: every second pixel, with channels of zeros before and after its own. He et al., "Deep
//! Residual Learning for Image Recognition" (2015), section 4.2.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::frame::Frame;

/// Takes every second pixel.
pub struct Subsample {
    from: Frame,
    to: Frame,
    /// Channels that are copied; after them `from` has only zeros.
    channels: usize,
    zeros_before: usize,
}

impl Subsample {
    /// `zeros` are the channels of zeros before and after the image's own.
    ///
    /// # Errors
    /// When the channels do not fit into `to`, or `to` has not half the side.
    pub fn new(from: Frame, to: Frame, channels: usize, zeros: (usize, usize)) -> Result<Self> {
        let (zeros_before, zeros_after) = zeros;
        let channels_out = zeros_before + channels + zeros_after;
        if from.side != 2 * to.side || channels > from.channels || channels_out > to.channels {
            bail!("every second pixel of {from:?} does not make {to:?}");
        }
        Ok(Self { from, to, channels, zeros_before })
    }

    /// (images, pixels, channels) to (images, pixels, channels).
    pub fn forward(&self, images: &Tensor) -> Result<Tensor> {
        images.apply_op1_no_bwd(self)
    }
}

impl CustomOp1 for Subsample {
    fn name(&self) -> &'static str {
        "every second pixel"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (input, count) = super::images(storage, layout, self.from)?;
        let mut output = vec![0.0; count * self.to.values()];
        let images = input.chunks_exact(self.from.values()).zip(output.chunks_exact_mut(self.to.values()));
        for (image, output) in images {
            for y in 0..self.to.side {
                for x in 0..self.to.side {
                    let from = self.from.pixel(2 * y, 2 * x);
                    let to = self.to.pixel(y, x) + self.zeros_before;
                    output[to..to + self.channels].copy_from_slice(&image[from..from + self.channels]);
                }
            }
        }
        Ok((CpuStorage::F32(output), Shape::from((count, self.to.pixels(), self.to.channels))))
    }
}
