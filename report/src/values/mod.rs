//! What was measured, as plain values.

mod run;
mod sweep;

pub use run::{Run, Validity};
pub use sweep::{Point, Repetition, Sweep, Varied};
