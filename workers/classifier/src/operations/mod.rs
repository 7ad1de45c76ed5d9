//! The operations of a network, forward only, over batches of bordered images ([`frame`]).
#![allow(clippy::needless_range_loop, reason = "loops over the rows, columns and vectors of a block all read alike")]

mod batch;
mod convolution;
mod direct;
mod finish;
mod frame;
mod layer;
mod max_pool;
mod memory;
mod register_block;
mod scores;
mod subsample;
#[cfg(test)]
mod tests;
mod transform;
mod winograd;

use std::ops::Range;

use candle_core::{CpuStorage, Layout, Result, bail};

pub use batch::Batch;
pub use convolution::{Activation, Convolution};
pub use frame::Frame;
pub use max_pool::MaxPool;
pub use scores::Scores;
pub use subsample::Subsample;

/// The numbers of a batch of bordered images, and how many images they are.
fn images<'a>(storage: &'a CpuStorage, layout: &Layout, frame: Frame) -> Result<(&'a [f32], usize)> {
    let count = count(layout, frame)?;
    Ok((&storage.as_slice()?[place(layout)?], count))
}

/// As [`images`], to be written.
fn images_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout, frame: Frame) -> Result<(&'a mut [f32], usize)> {
    let count = count(layout, frame)?;
    match storage {
        CpuStorage::F32(values) => Ok((&mut values[place(layout)?], count)),
        _ => bail!("numbers other than 32-bit floats"),
    }
}

fn count(layout: &Layout, frame: Frame) -> Result<usize> {
    let (count, pixels, channels) = layout.shape().dims3()?;
    if (pixels, channels) != (frame.pixels(), frame.channels) {
        bail!("images of {pixels} pixels and {channels} channels in place of {frame:?}");
    }
    Ok(count)
}

/// Where in its storage the numbers of a tensor lie, which must have no gaps.
fn place(layout: &Layout) -> Result<Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => bail!("a tensor with gaps: {layout:?}"),
    }
}
