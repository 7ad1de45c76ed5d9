//! Bordered images on their way from one layer to the next.

use std::cell::RefCell;
use std::ops::Deref;

use candle_core::{Device, Result, Tensor};

use super::frame::Frame;
use super::layer::{Layer, compute_into};
use super::memory::{LINE_VALUES, start_of_line};

thread_local! {
    /// What no batch uses, each for images of one frame.
    static FREE: RefCell<Vec<(Frame, Tensor)>> = const { RefCell::new(Vec::new()) };
}

/// A tensor of (images, pixels, channels) in memory that its thread keeps from batch to batch. New memory would be
/// filled with zeros for each layer, though a layer writes all but the border; here the border stays what it was at
/// first, zeros.
pub struct Batch {
    frame: Frame,
    images: Tensor,
    /// The same with room for as many images as the largest batch so far, from the start of a cache line on.
    memory: Tensor,
}

impl Batch {
    /// What a layer makes of these images.
    ///
    /// # Errors
    /// As of [`compute_into`].
    pub fn computed(layer: impl Layer, images: &Tensor) -> Result<Self> {
        let batch = Self::take(layer.frames().1, images.dim(0)?)?;
        compute_into(&batch, layer, images)?;
        Ok(batch)
    }

    /// So many images; what they are within their borders is not defined.
    fn take(frame: Frame, count: usize) -> Result<Self> {
        let memory = match free(frame) {
            Some(memory) if memory.dim(0)? >= count => memory,
            _ => zeros(frame, count)?,
        };
        Ok(Self { frame, images: memory.narrow(0, 0, count)?, memory })
    }
}

impl Deref for Batch {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.images
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // A thread that ends has given up what it kept.
        let _ = FREE.try_with(|free| free.borrow_mut().push((self.frame, self.memory.clone())));
    }
}

fn free(frame: Frame) -> Option<Tensor> {
    FREE.with_borrow_mut(|free| {
        let place = free.iter().rposition(|(of, _)| *of == frame)?;
        Some(free.swap_remove(place).1)
    })
}

fn zeros(frame: Frame, count: usize) -> Result<Tensor> {
    let length = count * frame.values();
    let values = vec![0.0f32; length + LINE_VALUES];
    let start = start_of_line(&values);
    let tensor = Tensor::from_vec(values, length + LINE_VALUES, &Device::Cpu)?.narrow(0, start, length)?;
    tensor.reshape((count, frame.pixels(), frame.channels))
}
