//! What a model's tensors say about its network: depth, widths, strides and shortcuts, batch norms folded into the
//! convolutions. ResNets for CIFAR: He et al., "Deep Residual Learning for Image Recognition" (2015), section 4.2, and
//! the ResNet-18 of its section 4.1 with the first convolution that CIFAR's small images need, and without the pooling
//! after it.

use candle_core::Tensor;

use crate::LoadError;
use crate::weights::Weights;

/// Under which names implementations keep the last layer.
const LINEAR: [&str; 2] = ["linear", "fc"];
/// Under which names implementations keep a projection, with `.0` for its convolution and `.1` for its batch norm.
const PROJECTIONS: [&str; 2] = ["shortcut", "downsample"];

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
    /// Option B: a 1x1 convolution.
    Projection(ConvolutionWeights),
}

impl Architecture {
    /// # Errors
    /// A [`LoadError`] that names the tensor that is missing, too many, or of another shape.
    pub fn read(weights: &mut Weights) -> Result<Self, LoadError> {
        let stem = ConvolutionWeights::read(weights, ("conv1", "bn1"), (None, 3), 3, 1)?;
        let (stages, blocks_in_stage) = depth(weights);
        let mut channels = stem.bias.dim(0)?;
        let mut blocks = Vec::new();
        for stage in 1..=stages {
            for number in 0..blocks_in_stage {
                let stride = if stage > 1 && number == 0 { 2 } else { 1 };
                let block = BlockWeights::read(weights, &format!("layer{stage}.{number}"), channels, stride)?;
                channels = block.second.bias.dim(0)?;
                blocks.push(block);
            }
        }
        let linear = LINEAR.into_iter().find(|name| weights.contains(&format!("{name}.weight"))).unwrap_or(LINEAR[0]);
        let linear_weight = weights.take(&format!("{linear}.weight"), &[None, Some(channels)])?;
        let linear_bias = weights.take(&format!("{linear}.bias"), &[Some(linear_weight.dim(0)?)])?;
        Ok(Self { stem, blocks, linear_weight, linear_bias })
    }

    /// How many classes the network tells apart.
    pub fn classes(&self) -> candle_core::Result<usize> {
        self.linear_bias.dim(0)
    }
}

/// Stages, and blocks in each: 3 of n in a network of 6n+2 layers, 4 of 2 in ResNet-18.
fn depth(weights: &Weights) -> (usize, usize) {
    if weights.contains("layer4.0.conv1.weight") {
        return (4, 2);
    }
    let blocks = (0..).take_while(|number| weights.contains(&format!("layer1.{number}.conv1.weight"))).count();
    (3, blocks.max(1))
}

impl ConvolutionWeights {
    fn read(
        weights: &mut Weights,
        convolution_and_batch_norm: (&str, &str),
        channels_out_and_in: (Option<usize>, usize),
        size: usize,
        stride: usize,
    ) -> Result<Self, LoadError> {
        let (kernel, bias) = weights.take_convolution(convolution_and_batch_norm, channels_out_and_in, size)?;
        Ok(Self { kernel, bias, stride })
    }
}

impl BlockWeights {
    fn read(weights: &mut Weights, name: &str, channels_in: usize, stride: usize) -> Result<Self, LoadError> {
        let mut convolution = |number: usize, channels, stride| {
            let names = (format!("{name}.conv{number}"), format!("{name}.bn{number}"));
            ConvolutionWeights::read(weights, (&names.0, &names.1), channels, 3, stride)
        };
        let first = convolution(1, ((stride == 1).then_some(channels_in), channels_in), stride)?;
        let channels = first.bias.dim(0)?;
        let second = convolution(2, (Some(channels), channels), 1)?;
        let shortcut = Shortcut::read(weights, name, channels_in, channels, stride)?;
        Ok(Self { first, second, shortcut })
    }
}

impl Shortcut {
    fn read(
        weights: &mut Weights,
        block: &str,
        channels_in: usize,
        channels: usize,
        stride: usize,
    ) -> Result<Self, LoadError> {
        if stride == 1 {
            return Ok(Self::Identity);
        }
        let mut names = PROJECTIONS.iter().map(|name| (format!("{block}.{name}.0"), format!("{block}.{name}.1")));
        if let Some(names) = names.find(|(convolution, _)| weights.contains(&format!("{convolution}.weight"))) {
            let names = (&*names.0, &*names.1);
            let projection = ConvolutionWeights::read(weights, names, (Some(channels), channels_in), 1, stride)?;
            return Ok(Self::Projection(projection));
        }
        let zeros = channels.checked_sub(channels_in).ok_or_else(|| LoadError::Shape {
            name: format!("{block}.conv1.weight"),
            expected: format!("[{channels_in} or more, {channels_in}, 3, 3]"),
            found: vec![channels, channels_in, 3, 3],
        })?;
        Ok(Self::EverySecondPixel { zeros_before: zeros / 2, zeros_after: zeros - zeros / 2 })
    }
}
