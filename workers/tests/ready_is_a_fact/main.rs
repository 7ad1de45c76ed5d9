//! What a worker says of itself is true of a genuine Kafka, now: not only when it started.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod check;
mod documents;
mod identity;
#[path = "../producer/kubernetes.rs"]
mod kubernetes;
mod report;
mod skipped;
mod start_from;
mod topics;

use std::time::Duration;

/// How soon something that is on its way must be there.
const SOON: Duration = Duration::from_secs(60);
/// Kafka notices a member that was killed after ten seconds.
const AFTER_A_KILL: Duration = Duration::from_secs(90);
