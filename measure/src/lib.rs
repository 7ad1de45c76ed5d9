//! What the numbers mean: schedules, accounting, histograms, percentiles, validity. Pure: no clock, no I/O.
//!
//! * [`schedule`]: when each image is to be sent.
//! * [`accounting`]: what became of each image.
//! * [`histogram`]: latencies, which are merged and never averaged.
//! * [`environment`]: what was measured with.
//! * [`intervals`]: the same, second by second.
//! * [`raw_log`]: each image in a line.
//! * [`summary`]: percentiles over all images scheduled; one without an answer has an infinite latency.
//! * [`confidence`]: how sure these are, and whether two measurements differ.
//! * [`producer_result`]: what one producer reports.
//! * [`sum`]: all producers together.
//! * [`load`]: when images are sent.
//! * [`lateness`]: how much of a percentile the producers have added.
//! * [`validity`]: whether the numbers mean what they say.
//! * [`stability`]: whether the load was one that can be kept up with.
//! * [`warning`]: what else should be known of them.
//! * [`slo`]: whether they are good enough.
//! * [`judgement`]: what all of this comes to.
//! * [`result`]: all numbers of a LoadTest, as they are kept and shown.
//! * [`repetitions`]: what several runs of the same say together.
//! * [`search`]: the highest rate that holds.
//! * [`signed`]: counts as the API has them.
//! * [`display`]: how people read them.
//! * [`duration`]: how people write lengths of time.

#![forbid(unsafe_code)]

pub mod accounting;
pub mod confidence;
pub mod display;
pub mod duration;
pub mod environment;
pub mod histogram;
pub mod intervals;
pub mod judgement;
pub mod lateness;
pub mod load;
pub mod producer_result;
pub mod raw_log;
pub mod repetitions;
pub mod result;
pub mod schedule;
pub mod search;
pub mod signed;
pub mod slo;
pub mod stability;
pub mod sum;
pub mod summary;
pub mod validity;
pub mod warning;
