//! The plugin as a process, against a real kube-apiserver. There is no operator: the tests write what it would.

mod plugin;
mod proxy;
mod report;
mod results;
mod support;
mod watch;
