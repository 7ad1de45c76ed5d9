//! The custom resources of Tailrace (group `tailrace.dev`, version `v1alpha1`).
//!
//! * [`Pipeline`]: the system under test.
//! * [`LoadTest`]: one measurement of a Pipeline with a fixed number of producers.
//! * [`Experiment`]: LoadTests made one after another, for a sweep or for the highest rate.
//! * [`ProducerReport`]: internal; what one producer of a LoadTest reports.
//!
//! The doc comments of the fields are what `kubectl explain` shows. `crds/manifests/` is generated from these types by
//! `cargo run -p tailrace-crds --bin crdgen`, and a test keeps both equal.

#![allow(clippy::duplicated_attributes, reason = "each printed column has a type of its own")]

pub mod conditions;
pub mod duration;
pub mod experiment;
pub mod load_test;
pub mod pipeline;
pub mod pod_template;
pub mod producer_report;
mod rules;
mod schema;

pub use experiment::Experiment;
pub use load_test::LoadTest;
pub use pipeline::Pipeline;
pub use producer_report::ProducerReport;

use kube::CustomResourceExt;

/// Where the generated manifests lie in the repository: for kubectl, and for Helm.
pub const MANIFEST_FOLDERS: [&str; 2] = ["crds/manifests", "charts/tailrace/definitions"];

/// The four custom resource definitions, by file name stem.
pub fn definitions()
-> Vec<(&'static str, k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition)> {
    [
        ("pipelines", Pipeline::crd()),
        ("loadtests", LoadTest::crd()),
        ("experiments", Experiment::crd()),
        ("producerreports", ProducerReport::crd()),
    ]
    .into_iter()
    .map(|(name, definition)| (name, schema::complete(definition)))
    .collect()
}
