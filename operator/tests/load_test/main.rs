//! LoadTests against a real API server: what it refuses, and the whole way from `kubectl apply` to the percentiles. The
//! tests play the Pipeline and the producers, and kill the operator wherever it can be killed.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "the tests of Pipelines use the rest")]
#[path = "../pipeline/cluster.rs"]
mod cluster;
mod control;
mod deletion;
mod documents;
mod failures;
mod interrupted;
mod killed_operator;
mod names;
mod outages;
mod permissions;
mod pods;
mod producers;
mod queue;
mod reports;
mod rest;
mod results;
mod trust;
mod validation;
mod waiting;
