//! What was measured, as plain values.

mod environment;
mod load;
mod objectives;
mod run;
mod sweep;

pub use environment::{Environment, Model};
pub use load::{Arrivals, Load};
pub use objectives::{Change, Comparison, ComparisonVerdict, Objective};
pub use run::{Rate, Run, Validity, Verdict, Warning};
pub use sweep::{Point, Repetition, Sweep, Varied};
pub use tailrace_measure::{
    accounting::Stages,
    confidence::{Confidence, Range},
    summary::Percentiles,
};
