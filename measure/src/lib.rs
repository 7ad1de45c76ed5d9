//! What the numbers mean: schedules, accounting, histograms, percentiles, validity. Pure: no clock, no I/O.
//!
//! * [`schedule`]: when each image is to be sent.
//! * [`accounting`]: what became of each image.
//! * [`histogram`]: latencies, which are merged and never averaged.
//! * [`summary`]: percentiles over all images scheduled; one without an answer has an infinite latency.
//! * [`validity`]: whether the numbers mean what they say.
//! * [`slo`]: whether they are good enough.
//! * [`display`]: how people read them.

#![forbid(unsafe_code)]

pub mod accounting;
pub mod display;
pub mod histogram;
pub mod schedule;
pub mod slo;
pub mod summary;
pub mod validity;
