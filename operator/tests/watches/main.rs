//! What the operator reads, against a real API server: an object that cannot be read harms no other, the operator says
//! when it cannot read, and asks for nothing while nothing happens.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod definitions;
mod metrics;
mod readiness;
mod rest;
mod unreadable;
mod upgrade;
