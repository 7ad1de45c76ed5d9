//! The end of the network: the mean of each channel over the image, and a linear layer.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::frame::{BLOCK, Frame};

/// Global average pooling and a linear layer.
pub struct Scores {
    from: Frame,
    classes: usize,
    /// (channels, classes in whole blocks), each divided by the number of pixels.
    weights: Vec<f32>,
    /// (classes in whole blocks)
    bias: Vec<f32>,
}

impl Scores {
    /// `weight` is (classes, channels), `bias` is (classes).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn new(from: Frame, weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let (classes, channels) = weight.dims2()?;
        if channels > from.channels || bias.dims1()? != classes {
            bail!("a linear layer of {:?} and {:?} after {from:?}", weight.shape(), bias.shape());
        }
        let width = classes.next_multiple_of(BLOCK);
        let mut weights = vec![0.0; from.channels * width];
        for (class, row) in weight.to_vec2::<f32>()?.iter().enumerate() {
            for (channel, value) in row.iter().enumerate() {
                weights[channel * width + class] = value / (from.side * from.side) as f32;
            }
        }
        let mut bias = bias.to_vec1()?;
        bias.resize(width, 0.0);
        Ok(Self { from, classes, weights, bias })
    }

    /// (images, pixels, channels) to (images, classes).
    pub fn forward(&self, images: &Tensor) -> Result<Tensor> {
        images.apply_op1_no_bwd(self)
    }

    fn of_image(&self, image: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0; self.from.channels];
        for pixel in image.chunks_exact(self.from.channels) {
            add_product(&mut sums, pixel, 1.0);
        }
        let mut scores = self.bias.clone();
        for (weights, sum) in self.weights.chunks_exact(self.bias.len()).zip(sums) {
            add_product(&mut scores, weights, sum);
        }
        scores
    }
}

/// sums += values x factor, in whole blocks.
fn add_product(sums: &mut [f32], values: &[f32], factor: f32) {
    for (sums, values) in sums.as_chunks_mut::<BLOCK>().0.iter_mut().zip(values.as_chunks::<BLOCK>().0) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value * factor;
        }
    }
}

impl CustomOp1 for Scores {
    fn name(&self) -> &'static str {
        "scores"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (input, count) = super::images(storage, layout, self.from)?;
        let mut scores = Vec::with_capacity(count * self.classes);
        for image in input.chunks_exact(self.from.values()) {
            scores.extend_from_slice(&self.of_image(image)[..self.classes]);
        }
        Ok((CpuStorage::F32(scores), Shape::from((count, self.classes))))
    }
}
