//! The operations of a network, forward only, over batches of bordered images ([`frame`]).
#![allow(clippy::needless_range_loop, reason = "loops over the rows, columns and vectors of a block all read alike")]

mod convolution;
mod direct;
mod finish;
mod frame;
mod memory;
mod register_block;
mod scores;
mod subsample;
#[cfg(test)]
mod tests;
mod transform;
mod winograd;

use candle_core::{CpuStorage, Layout, Result, bail};

pub use convolution::{Activation, Convolution};
pub use frame::Frame;
pub use scores::Scores;
pub use subsample::Subsample;

/// The numbers of a tensor that lies in memory without gaps.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice()?[start..end]),
        None => bail!("a tensor with gaps: {layout:?}"),
    }
}

/// The numbers of a batch of bordered images, and how many images they are.
fn images<'a>(storage: &'a CpuStorage, layout: &Layout, frame: Frame) -> Result<(&'a [f32], usize)> {
    let (count, pixels, channels) = layout.shape().dims3()?;
    if (pixels, channels) != (frame.pixels(), frame.channels) {
        bail!("images of {pixels} pixels and {channels} channels in place of {frame:?}");
    }
    Ok((values(storage, layout)?, count))
}
