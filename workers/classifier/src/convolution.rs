//! Convolution by shifted matrix products.
//!
//! An image is kept as a matrix with a row for each pixel and a column for each channel. It has a border of zeros: one
//! pixel above, left and right, two below. In this form the three pixels that a row of the kernel covers lie one behind
//! the other in memory, so the row's share of all outputs is one matrix product with an overlapping view of the image:
//! nothing is gathered or copied. Products are also made where the kernel runs over the right edge into the next row;
//! what comes out there is set to zero by the bias, which is negative infinity in those places, and the ReLU after it.

use candle_core::{Result, Tensor};

/// Pixels in a row of an image of this side, border included.
pub(crate) const fn pitch(side: usize) -> usize {
    side + 2
}

/// Rows of the matrix before the image's first pixel.
pub(crate) const fn head(side: usize) -> usize {
    pitch(side) + 1
}

/// Rows of the matrix after the image's last row of pixels and its edge.
pub(crate) const fn tail(side: usize) -> usize {
    2 * pitch(side) - 1
}

/// A 3x3 convolution with a border of one pixel.
pub(crate) struct Convolution {
    /// For each row of the kernel: (3 x channels in, channels out).
    kernel: [Tensor; 3],
    /// (pixels out and right edge, channels out); negative infinity in the edge.
    bias: Tensor,
    side: usize,
    stride: usize,
}

impl Convolution {
    /// `kernel` is (out, in, 3, 3), `bias` is (out), `side` that of the input in pixels; `stride` is 1 or 2.
    pub fn new(kernel: &Tensor, bias: &Tensor, side: usize, stride: usize) -> Result<Self> {
        let row = |y: usize| -> Result<Tensor> {
            let (channels_out, channels_in, _, columns) = kernel.dims4()?;
            let row = kernel.narrow(2, y, 1)?.squeeze(2)?;
            row.permute((2, 1, 0))?.contiguous()?.reshape((columns * channels_in, channels_out))
        };
        let kernel = [row(0)?, row(1)?, row(2)?];
        Ok(Self { kernel, bias: bias_and_edge(bias, side / stride)?, side, stride })
    }

    /// (side x pitch, channels) of the output, to which a ReLU must be applied, from a bordered image.
    pub fn forward(&self, image: &Tensor) -> Result<Tensor> {
        let (_, channels) = image.dims2()?;
        let values = image.flatten_all()?;
        let products = self.side * pitch(self.side) / self.stride;
        let row = |y: usize| -> Result<Tensor> {
            let start = y * pitch(self.side) * channels;
            let length = ((products - 1) * self.stride + 3) * channels;
            let windows = values.narrow(0, start, length)?.unfold(0, 3 * channels, self.stride * channels)?;
            windows.matmul(&self.kernel[y])
        };
        let sum = ((row(0)? + row(1)?)? + row(2)?)?;
        self.every_second_row(sum)? + &self.bias
    }

    /// With stride 2 the products step over every second column, but not over rows.
    fn every_second_row(&self, sum: Tensor) -> Result<Tensor> {
        if self.stride == 1 {
            return Ok(sum);
        }
        let side = self.side / 2;
        let (_, channels) = sum.dims2()?;
        let rows = sum.reshape((side, pitch(self.side), channels))?;
        rows.narrow(1, 0, pitch(side))?.reshape((side * pitch(side), channels))
    }
}

fn bias_and_edge(bias: &Tensor, side: usize) -> Result<Tensor> {
    let channels = bias.dim(0)?;
    let inside = bias.broadcast_as((side, side, channels))?;
    let edge = Tensor::full(f32::NEG_INFINITY, (side, pitch(side) - side, channels), bias.device())?;
    Tensor::cat(&[&inside, &edge], 1)?.reshape((side * pitch(side), channels))
}

/// The image with its border, from what [`Convolution::forward`] returned after a ReLU.
pub(crate) fn with_border(image: &Tensor, side: usize) -> Result<Tensor> {
    image.pad_with_zeros(0, head(side), tail(side))
}

/// The image in the form that [`Convolution::forward`] returns, from a bordered one. Nothing is copied.
pub(crate) fn without_border(image: &Tensor, side: usize) -> Result<Tensor> {
    image.narrow(0, head(side), side * pitch(side))
}

#[cfg(test)]
mod tests {
    use candle_core::IndexOp;

    use super::*;
    use crate::reference::noise;

    /// (channels, side, side) to a bordered image.
    fn bordered(image: &Tensor) -> Tensor {
        let (channels, side, _) = image.dims3().unwrap();
        let rows = image.permute((1, 2, 0)).unwrap().pad_with_zeros(1, 0, 2).unwrap();
        with_border(&rows.reshape((side * pitch(side), channels)).unwrap(), side).unwrap()
    }

    /// What [`Convolution::forward`] returns to (channels, side, side).
    fn plain(image: &Tensor, side: usize) -> Tensor {
        let rows = image.reshape((side, pitch(side), ())).unwrap().narrow(1, 0, side).unwrap();
        rows.permute((2, 0, 1)).unwrap()
    }

    #[test]
    fn it_equals_the_convolution_of_candle() {
        for (side, channels_in, channels_out, stride) in [(32, 3, 16, 1), (32, 16, 32, 2), (16, 8, 8, 1), (8, 5, 7, 1)]
        {
            let (image, kernel) =
                (noise("image", &[channels_in, side, side]), noise("kernel", &[channels_out, channels_in, 3, 3]));
            let bias = noise("bias", &[channels_out]);
            let expected = image.unsqueeze(0).unwrap().conv2d(&kernel, 1, stride, 1, 1).unwrap();
            let expected = expected.i(0).unwrap().broadcast_add(&bias.reshape((channels_out, 1, 1)).unwrap()).unwrap();
            let convolution = Convolution::new(&kernel, &bias, side, stride).unwrap();
            let found = plain(&convolution.forward(&bordered(&image)).unwrap(), side / stride);
            let difference = (found - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(difference < 1e-4, "side {side}, stride {stride}: largest difference {difference}");
        }
    }

    #[test]
    fn a_relu_leaves_zeros_in_the_edge() {
        let convolution = Convolution::new(&noise("kernel", &[4, 2, 3, 3]), &noise("bias", &[4]), 8, 1).unwrap();
        let found = convolution.forward(&bordered(&noise("image", &[2, 8, 8]))).unwrap().relu().unwrap();
        let edge = found.reshape((8, pitch(8), 4)).unwrap().narrow(1, 8, 2).unwrap();
        assert_eq!(edge.flatten_all().unwrap().to_vec1::<f32>().unwrap(), vec![0.0; 64]);
    }
}
