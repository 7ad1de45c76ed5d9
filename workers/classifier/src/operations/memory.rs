//! Memory whose first number lies at the start of a cache line, and what a thread keeps to compute in.

use std::cell::RefCell;

/// Bytes of a cache line, and of the largest vector.
const LINE: usize = 64;
/// Numbers in a cache line.
pub const LINE_VALUES: usize = LINE / size_of::<f32>();

/// Numbers that start at a cache line: a vector that lies over two of them takes twice as long to read.
#[derive(Default)]
pub struct Aligned {
    values: Vec<f32>,
    start: usize,
}

impl Aligned {
    pub fn zeros(length: usize) -> Self {
        let values = vec![0.0; length + LINE_VALUES];
        let start = start_of_line(&values);
        Self { values, start }
    }

    /// These numbers, and zeros up to the length.
    pub fn padded(values: &[f32], length: usize) -> Self {
        let mut padded = Self::zeros(length);
        padded.values_mut()[..values.len()].copy_from_slice(values);
        padded
    }

    pub fn values(&self) -> &[f32] {
        &self.values[self.start..]
    }

    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.start..]
    }
}

/// How many numbers lie before the first that is at the start of a cache line, at most [`LINE_VALUES`].
pub fn start_of_line(values: &[f32]) -> usize {
    values.as_ptr().align_offset(LINE).min(LINE_VALUES)
}

/// What a convolution computes in: kept by each thread from one to the next, and never read before it is written.
#[derive(Default)]
struct Scratch {
    inputs: Aligned,
    products: Aligned,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Lends this many numbers for inputs and for products; what they are at first is not defined.
pub fn with_scratch<T>(inputs: usize, products: usize, compute: impl FnOnce(&mut [f32], &mut [f32]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        compute(at_least(&mut scratch.inputs, inputs), at_least(&mut scratch.products, products))
    })
}

fn at_least(memory: &mut Aligned, length: usize) -> &mut [f32] {
    if memory.values().len() < length {
        *memory = Aligned::zeros(length);
    }
    &mut memory.values_mut()[..length]
}
