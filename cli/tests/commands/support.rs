//! A kube-apiserver, as the tests of the operator have it.
#![allow(dead_code, reason = "the tests of the operator use more of it")]

#[path = "../../../operator/tests/support/api_server.rs"]
mod api_server;
#[path = "../../../operator/tests/support/namespace.rs"]
mod namespace;
#[path = "../../../operator/tests/support/process.rs"]
mod process;

pub use api_server::api_server;
pub use namespace::Namespace;
