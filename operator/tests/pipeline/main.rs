//! Pipelines against a real API server: what it refuses, what the operator makes, and how the status follows what the
//! cluster says. The tests play the kubelet and the controllers of StatefulSets and Deployments.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod chart;
mod cluster;
mod names;
mod objects;
mod permissions;
mod pod_templates;
mod readiness;
mod releases;
mod rollout;
mod storage;
mod trouble;
mod validation;
mod workers;
