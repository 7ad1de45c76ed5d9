//! The shortcut of option A: every second pixel, with channels of zeros before and after its own. He et al., "Deep
//! Residual Learning for Image Recognition" (2015), section 4.2.

use candle_core::{Result, Tensor, bail};

use super::batch::Batch;
use super::frame::Frame;
use super::layer::Layer;

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
    ///
    /// # Errors
    /// When the images are not laid out as they should be.
    pub fn forward(&self, images: &Tensor) -> Result<Batch> {
        Batch::computed(self, images)
    }
}

impl Layer for &Subsample {
    const NAME: &'static str = "every second pixel";

    fn frames(&self) -> (Frame, Frame) {
        (self.from, self.to)
    }

    fn compute(&self, _: usize, input: &[f32], output: &mut [f32]) {
        let images = input.chunks_exact(self.from.values()).zip(output.chunks_exact_mut(self.to.values()));
        for (image, output) in images {
            for y in 0..self.to.side {
                for x in 0..self.to.side {
                    let (from, to) = (self.from.pixel(2 * y, 2 * x), self.to.pixel(y, x));
                    let pixel = &mut output[to..to + self.to.channels];
                    pixel.fill(0.0);
                    pixel[self.zeros_before..][..self.channels].copy_from_slice(&image[from..from + self.channels]);
                }
            }
        }
    }
}
