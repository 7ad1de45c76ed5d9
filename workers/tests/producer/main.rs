//! The producer against a genuine Kafka, with a stand-in for the classifier whose delays are known: the counts and the
//! percentiles must come out as computed.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod closed_load;
mod echo;
mod faults;
mod images;
mod kubernetes;
mod load_test;
mod measured;
mod open_load;
mod patience;
mod proof;
mod road;
mod together;
mod trouble;
mod waiting;
