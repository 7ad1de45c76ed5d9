//! What a model's tensors say about its network: depth, widths, strides and shortcuts, batch norms folded into the
//! convolutions. ResNets for CIFAR: He et al., "Deep Residual Learning for Image Recognition" (2015), section 4.2.

use candle_core::Tensor;

use crate::LoadError;
use crate::weights::Weights;

const STAGES: usize = 3;

/// A network, ready to be laid out for computing.
pub(crate) struct Architecture {
    /// From the three colours to the channels of the first stage.
    pub stem: ConvolutionWeights,
    /// In the order in which they are computed.
    pub blocks: Vec<BlockWeights>,
    /// (classes, channels)
    pub linear_weight: Tensor,
    /// (classes)
    pub linear_bias: Tensor,
}

/// A convolution with a border of (size - 1) / 2 zeros.
pub(crate) struct ConvolutionWeights {
    /// (channels out, channels in, size, size); size is 3, or 1 in a projection.
    pub kernel: Tensor,
    /// (channels out)
    pub bias: Tensor,
    /// 1 or 2.
    pub stride: usize,
}

/// Two convolutions of 3x3 and a shortcut around them: relu(second(relu(first(x))) + shortcut(x)).
pub(crate) struct BlockWeights {
    pub first: ConvolutionWeights,
    pub second: ConvolutionWeights,
    pub shortcut: Shortcut,
}

/// How a block's input reaches its sum.
pub(crate) enum Shortcut {
    /// As it is.
    Identity,
    /// Option A: every second pixel, with this many channels of zeros before and after its own.
    EverySecondPixel { zeros_before: usize, zeros_after: usize },
    /// Option B: through a convolution of 1x1 of its own.
    Projection(ConvolutionWeights),
}

impl Architecture {
    /// # Errors
    /// A [`LoadError`] that names the tensor that is missing, too many, or of another shape.
    pub fn read(weights: &mut Weights) -> Result<Self, LoadError> {
        let stem = ConvolutionWeights::read(weights, "conv1", "bn1", None, 3, 1)?;
        let mut channels = stem.bias.dim(0)?;
        let mut blocks = Vec::new();
        for stage in 1..=STAGES {
            for number in 0.. {
                let name = format!("layer{stage}.{number}");
                if number > 0 && !weights.contains(&format!("{name}.conv1.weight")) {
                    break;
                }
                let stride = if stage > 1 && number == 0 { 2 } else { 1 };
                let block = BlockWeights::read(weights, &name, channels, stride)?;
                channels = block.second.bias.dim(0)?;
                blocks.push(block);
            }
        }
        let linear_weight = weights.take("linear.weight", &[None, Some(channels)])?;
        let linear_bias = weights.take("linear.bias", &[Some(linear_weight.dim(0)?)])?;
        Ok(Self { stem, blocks, linear_weight, linear_bias })
    }

    /// How many classes the network tells apart.
    pub fn classes(&self) -> candle_core::Result<usize> {
        self.linear_bias.dim(0)
    }
}

impl ConvolutionWeights {
    fn read(
        weights: &mut Weights,
        convolution: &str,
        batch_norm: &str,
        channels_out: Option<usize>,
        channels_in: usize,
        stride: usize,
    ) -> Result<Self, LoadError> {
        let (kernel, bias) = weights.take_convolution(convolution, batch_norm, channels_out, channels_in)?;
        Ok(Self { kernel, bias, stride })
    }
}

impl BlockWeights {
    fn read(weights: &mut Weights, name: &str, channels_in: usize, stride: usize) -> Result<Self, LoadError> {
        let names = |number: usize| (format!("{name}.conv{number}"), format!("{name}.bn{number}"));
        let (convolution, batch_norm) = names(1);
        let channels = (stride == 1).then_some(channels_in);
        let first = ConvolutionWeights::read(weights, &convolution, &batch_norm, channels, channels_in, stride)?;
        let channels = first.bias.dim(0)?;
        let (convolution, batch_norm) = names(2);
        let second = ConvolutionWeights::read(weights, &convolution, &batch_norm, Some(channels), channels, 1)?;
        let shortcut = Shortcut::read(&format!("{name}.conv1.weight"), channels_in, channels, stride)?;
        Ok(Self { first, second, shortcut })
    }
}

impl Shortcut {
    fn read(tensor: &str, channels_in: usize, channels: usize, stride: usize) -> Result<Self, LoadError> {
        if stride == 1 {
            return Ok(Self::Identity);
        }
        let zeros = channels.checked_sub(channels_in).ok_or_else(|| LoadError::Shape {
            name: tensor.to_owned(),
            expected: format!("[{channels_in} or more, {channels_in}, 3, 3]"),
            found: vec![channels, channels_in, 3, 3],
        })?;
        Ok(Self::EverySecondPixel { zeros_before: zeros / 2, zeros_after: zeros - zeros / 2 })
    }
}
