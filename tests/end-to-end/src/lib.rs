//! What the end-to-end tests need of a cluster: objects from YAML, waiting, and a way to the database.
//!
//! The cluster is the one of `KUBECONFIG`, with the chart installed; `tests/end-to-end/run` makes it.

pub mod cluster;
pub mod database;

pub use cluster::Cluster;
