//! The pooling that a ResNet for photographs has after its first convolution: the largest of 3 x 3 pixels, around every
//! second one. He et al., "Deep Residual Learning for Image Recognition" (2015), table 1.

use candle_core::{Result, Tensor, bail};

use super::batch::Batch;
use super::frame::Frame;
use super::layer::Layer;

/// Takes the largest of what comes out of a ReLU: there the zeros of the border are never larger than a pixel.
pub struct MaxPool {
    from: Frame,
    to: Frame,
}

impl MaxPool {
    /// # Errors
    /// When there is no half of the side.
    pub fn new(from: Frame) -> Result<Self> {
        if !from.side.is_multiple_of(2) {
            bail!("max pooling of {from:?}: its side is odd");
        }
        Ok(Self { from, to: Frame::new(from.side / 2, from.channels) })
    }

    /// How the output is laid out.
    pub fn to(&self) -> Frame {
        self.to
    }

    /// (images, pixels, channels) to (images, pixels, channels).
    ///
    /// # Errors
    /// When the images are not laid out as they should be.
    pub fn forward(&self, images: &Tensor) -> Result<Batch> {
        Batch::computed(self, images)
    }
}

impl Layer for &MaxPool {
    const NAME: &'static str = "max pooling";

    fn frames(&self) -> (Frame, Frame) {
        (self.from, self.to)
    }

    fn compute(&self, _: usize, input: &[f32], output: &mut [f32]) {
        let (channels, row) = (self.from.channels, self.from.pitch() * self.from.channels);
        let images = input.chunks_exact(self.from.values()).zip(output.chunks_exact_mut(self.to.values()));
        for (image, output) in images {
            for y in 0..self.to.side {
                for x in 0..self.to.side {
                    let (centre, to) = (self.from.pixel(2 * y, 2 * x), self.to.pixel(y, x));
                    let largest = &mut output[to..to + channels];
                    largest.fill(0.0);
                    for above in [centre - row, centre, centre + row] {
                        for from in [above - channels, above, above + channels] {
                            let pixel = &image[from..from + channels];
                            largest.iter_mut().zip(pixel).for_each(|(largest, value)| *largest = largest.max(*value));
                        }
                    }
                }
            }
        }
    }
}
