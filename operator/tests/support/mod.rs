//! What the tests of the operator run against: a real kube-apiserver with its etcd and the controllers that Jobs and
//! garbage collection need, but no kubelet, so that a test can say itself what becomes of a pod.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

mod api_server;
mod mortal;
mod namespace;
mod objects;
mod operator;
mod process;
mod refusal;

pub use api_server::{ApiServer, api_server, program};
pub use namespace::{Kind, Namespace};
pub use objects::{Object, owned_by};
pub use operator::{Operator, get, settings};
pub use refusal::Refusal;
