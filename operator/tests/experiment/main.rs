//! Experiments against a real API server: what it refuses, and the whole way from `kubectl apply` to the table. The
//! tests play the LoadTests, and in one of them only the producers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod again;
mod examples;
mod killed_operator;
mod load_tests;
mod max_rate;
#[allow(dead_code, reason = "the tests of LoadTests use the rest")]
#[path = "../load_test/producers.rs"]
mod producers;
mod sweep;
mod trouble;
mod validation;
mod whole;
