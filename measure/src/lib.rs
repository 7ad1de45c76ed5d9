//! What the numbers mean: schedules, accounting, histograms, percentiles, validity. Pure: no clock, no I/O.
//!
//! * [`schedule`]: when each image is to be sent.
//! * [`accounting`]: what became of each image.
//! * [`histogram`]: latencies, which are merged and never averaged.
//! * [`intervals`]: the same, second by second.
//! * [`raw_log`]: each image in a line.
//! * [`summary`]: percentiles over all images scheduled; one without an answer has an infinite latency.
//! * [`confidence`]: how sure these are, and whether two measurements differ.
//! * [`sum`]: all producers together.
//! * [`lateness`]: how much of a percentile the producers have added.
//! * [`validity`]: whether the numbers mean what they say.
//! * [`stability`]: whether the load was one that can be kept up with.
//! * [`warning`]: what else should be known of them.
//! * [`slo`]: whether they are good enough.
//! * [`repetitions`]: what several runs of the same say together.
//! * [`search`]: the highest rate that holds.
//! * [`signed`]: counts as the API has them.
//! * [`display`]: how people read them.

#![forbid(unsafe_code)]

pub mod accounting;
pub mod confidence;
pub mod display;
pub mod histogram;
pub mod intervals;
pub mod lateness;
pub mod raw_log;
pub mod repetitions;
pub mod schedule;
pub mod search;
pub mod signed;
pub mod slo;
pub mod stability;
pub mod sum;
pub mod summary;
pub mod validity;
pub mod warning;
