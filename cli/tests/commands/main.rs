//! The plugin as a process, against a real kube-apiserver. There is no operator: the tests write what it would.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

mod connection;
mod experiment;
mod plugin;
mod proxy;
mod report;
mod results;
mod support;
mod watch;
