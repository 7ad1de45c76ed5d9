//! Each convolution against that of Candle, on every instruction set that the processor has.

use candle_core::{Device, Tensor};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use super::{Activation, Convolution, Frame, MaxPool, Scores, Subsample};
use crate::architecture::ConvolutionWeights;
use crate::instruction_set::InstructionSet;
use crate::reference::{largest_difference, noise};

/// What a convolution computes.
#[derive(Clone, Copy, Debug)]
struct Shape {
    images: usize,
    side: usize,
    channels_in: usize,
    channels_out: usize,
    size: usize,
    stride: usize,
    relu: bool,
    shortcut: bool,
}

/// (images, channels, side, side) to bordered images.
fn bordered(images: &Tensor, frame: Frame) -> Tensor {
    let channels = images.dim(1).unwrap();
    let images = images.pad_with_zeros(1, 0, frame.channels - channels).unwrap();
    let images = images.pad_with_zeros(2, 1, 1).unwrap().pad_with_zeros(3, 1, 1).unwrap();
    images.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap().flatten(1, 2).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

impl Shape {
    fn from(self) -> Frame {
        if self.channels_in == 3 { Frame::new(self.side, 4) } else { Frame::in_blocks(self.side, self.channels_in) }
    }

    fn weights(self) -> ConvolutionWeights {
        let kernel = noise("kernel", &[self.channels_out, self.channels_in, self.size, self.size]);
        ConvolutionWeights { kernel, bias: noise("bias", &[self.channels_out]), stride: self.stride }
    }

    fn images(self) -> Tensor {
        noise("images", &[self.images, self.channels_in, self.side, self.side])
    }

    fn shortcut(self) -> Tensor {
        let side = self.side / self.stride;
        noise("shortcut", &[self.images, self.channels_out, side, side])
    }

    fn found(self, set: InstructionSet) -> Vec<f32> {
        let activation = if self.relu { Activation::Relu } else { Activation::None };
        let convolution = Convolution::new(set, &self.weights(), self.from(), activation).unwrap();
        let images = bordered(&self.images(), self.from());
        let shortcut = bordered(&self.shortcut(), convolution.to());
        if self.shortcut {
            convolution.forward_onto(&shortcut, &images).unwrap();
            return numbers(&shortcut);
        }
        numbers(&convolution.forward(&images).unwrap())
    }

    fn expected(self) -> Vec<f32> {
        let ConvolutionWeights { kernel, bias, stride } = self.weights();
        let sums = self.images().conv2d(&kernel, self.size / 2, stride, 1, 1).unwrap();
        let mut sums = sums.broadcast_add(&bias.reshape((1, (), 1, 1)).unwrap()).unwrap();
        if self.shortcut {
            sums = (sums + self.shortcut()).unwrap();
        }
        let sums = if self.relu { sums.relu().unwrap() } else { sums };
        numbers(&bordered(&sums, Frame::in_blocks(self.side / stride, self.channels_out)))
    }

    /// The border and the channels of zeros are compared too.
    fn agrees_on_every_instruction_set(self) -> Result<(), TestCaseError> {
        let expected = self.expected();
        let limit = 2e-5 * (self.channels_in as f32 + 8.0);
        for set in InstructionSet::available() {
            let difference = largest_difference(&self.found(set), &expected);
            prop_assert!(difference < limit, "{self:?} on {set}: largest difference {difference}");
        }
        Ok(())
    }
}

const PLAIN: Shape =
    Shape { images: 1, side: 32, channels_in: 16, channels_out: 16, size: 3, stride: 1, relu: true, shortcut: false };

#[test]
fn the_convolutions_of_resnet_20_agree_with_those_of_candle() {
    for (side, channels_in, channels_out, stride) in
        [(32, 3, 16, 1), (32, 16, 16, 1), (32, 16, 32, 2), (16, 32, 32, 1), (16, 32, 64, 2), (8, 64, 64, 1)]
    {
        let shortcut = channels_in == channels_out;
        Shape { side, channels_in, channels_out, stride, shortcut, ..PLAIN }.agrees_on_every_instruction_set().unwrap();
    }
}

#[test]
fn a_projection_keeps_what_is_below_zero() {
    let projection = Shape { channels_in: 64, channels_out: 128, size: 1, stride: 2, relu: false, images: 2, ..PLAIN };
    projection.agrees_on_every_instruction_set().unwrap();
}

#[test]
fn a_block_of_tiles_can_end_in_the_middle_of_a_batch() {
    for side in [4, 8] {
        Shape { images: 5, side, channels_out: 48, ..PLAIN }.agrees_on_every_instruction_set().unwrap();
    }
}

#[test]
fn any_convolution_agrees_with_that_of_candle() {
    let seed = std::env::var("SEED").map_or_else(|_| rand_seed(), |seed| seed.parse().unwrap());
    println!("seed {seed}: SEED={seed} repeats this run");
    let config =
        ProptestConfig { cases: 60, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Default::default() };
    let sizes = prop_oneof![Just((3, 1)), Just((3, 2)), Just((1, 1)), Just((1, 2))];
    let shapes = (1usize..4, 2usize..17, 1usize..70, 1usize..70, sizes, any::<bool>(), any::<bool>()).prop_map(
        |(images, half, channels_in, channels_out, (size, stride), relu, shortcut)| Shape {
            images,
            side: 2 * half,
            channels_in,
            channels_out,
            size,
            stride,
            relu,
            shortcut,
        },
    );
    TestRunner::new(config).run(&shapes, Shape::agrees_on_every_instruction_set).unwrap();
}

fn rand_seed() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64
}

#[test]
fn a_stride_that_does_not_divide_the_side_is_refused() {
    let shape = Shape { side: 5, stride: 2, ..PLAIN };
    let set = InstructionSet::in_use().unwrap();
    let error = Convolution::new(set, &shape.weights(), shape.from(), Activation::Relu).err().unwrap();
    assert!(error.to_string().contains("a stride of 2 over 5 pixels"), "{error}");
}

#[test]
fn images_of_another_size_are_refused() {
    let convolution =
        Convolution::new(InstructionSet::in_use().unwrap(), &PLAIN.weights(), PLAIN.from(), Activation::Relu).unwrap();
    let images = Tensor::zeros((1, 100, 16), candle_core::DType::F32, &Device::Cpu).unwrap();
    let error = convolution.forward(&images).err().unwrap().to_string();
    assert!(error.contains("images of 100 pixels and 16 channels"), "{error}");
}

#[test]
fn every_second_pixel_is_taken_and_zeros_are_put_around_its_channels() {
    let (from, to) = (Frame::in_blocks(8, 5), Frame::in_blocks(4, 12));
    let images = noise("images", &[2, 5, 8, 8]);
    let found = Subsample::new(from, to, 5, (3, 4)).unwrap().forward(&bordered(&images, from)).unwrap();
    let even = Tensor::new(&[0u32, 2, 4, 6], &Device::Cpu).unwrap();
    let expected = images.index_select(&even, 2).unwrap().index_select(&even, 3).unwrap();
    let expected = bordered(&expected.pad_with_zeros(1, 3, 4).unwrap(), to);
    assert_eq!(numbers(&found), numbers(&expected));
}

#[test]
fn the_largest_of_three_by_three_is_taken_around_every_second_pixel() {
    for (side, channels) in [(8, 5), (2, 1), (32, 16)] {
        let from = Frame::in_blocks(side, channels);
        let images = noise("images", &[2, channels, side, side]).relu().unwrap();
        let pool = MaxPool::new(from).unwrap();
        let found = pool.forward(&bordered(&images, from)).unwrap();
        let padded = images.pad_with_zeros(2, 1, 1).unwrap().pad_with_zeros(3, 1, 1).unwrap();
        let expected = bordered(&padded.max_pool2d_with_stride(3, 2).unwrap(), pool.to());
        assert_eq!(numbers(&found), numbers(&expected), "{side} pixels, {channels} channels");
    }
}

#[test]
fn scores_are_a_linear_layer_of_the_means() {
    let frame = Frame::in_blocks(8, 20);
    let images = noise("images", &[3, 20, 8, 8]);
    let (weight, bias) = (noise("weight", &[10, 20]), noise("bias", &[10]));
    let scores = Scores::new(frame, &weight, &bias).unwrap().forward(&bordered(&images, frame)).unwrap();
    let means = images.mean((2, 3)).unwrap();
    let expected = means.matmul(&weight.t().unwrap()).unwrap().broadcast_add(&bias).unwrap();
    let difference = largest_difference(&numbers(&scores), &numbers(&expected));
    assert!(difference < 1e-5, "largest difference {difference}");
}

/// A batch is computed in memory that others left.
#[test]
fn what_was_computed_before_leaves_no_trace() {
    let (from, to) = (Frame::in_blocks(8, 5), Frame::in_blocks(4, 12));
    let subsample = Subsample::new(from, to, 5, (3, 4)).unwrap();
    let images = bordered(&noise("images", &[2, 5, 8, 8]), from);
    let before = numbers(&subsample.forward(&images).unwrap());
    let convolution = Shape { side: 4, channels_in: 12, channels_out: 12, images: 3, relu: false, ..PLAIN };
    for set in InstructionSet::available() {
        let of_three = convolution.found(set);
        assert_eq!(numbers(&subsample.forward(&images).unwrap()), before);
        assert_eq!(convolution.found(set), of_three);
    }
}

#[test]
fn a_shortcut_of_more_images_is_refused() {
    let shape = Shape { side: 8, ..PLAIN };
    let set = InstructionSet::in_use().unwrap();
    let convolution = Convolution::new(set, &shape.weights(), shape.from(), Activation::Relu).unwrap();
    let [one, two] = [1, 2].map(|images| bordered(&Shape { images, ..shape }.images(), shape.from()));
    let error = convolution.forward_onto(&two, &one).unwrap_err().to_string();
    assert!(error.contains("1 images into 2"), "{error}");
}
