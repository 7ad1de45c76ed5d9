//! `ProducerReport`: what one producer of a LoadTest reports. Made by the operator, filled in by the producer.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use tailrace_measure::{accounting::Counts, producer_result::ProducerResult};

/// Internal: the report of one producer, owned by its LoadTest.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "tailrace.dev",
    version = "v1alpha1",
    kind = "ProducerReport",
    doc = "Internal: the report of one producer, owned by its LoadTest.",
    namespaced,
    status = "ProducerReportStatus",
    derive = "PartialEq",
    printcolumn(name = "LoadTest", type_ = "string", json_path = ".spec.loadTest"),
    printcolumn(name = "Index", type_ = "integer", json_path = ".spec.index"),
    printcolumn(name = "Ready", type_ = "date", json_path = ".status.readyAt"),
    printcolumn(name = "Sent", type_ = "integer", json_path = ".status.progress.messages.sent"),
    printcolumn(name = "Received", type_ = "integer", json_path = ".status.progress.messages.received")
)]
#[serde(rename_all = "camelCase")]
pub struct ProducerReportSpec {
    /// The name of the LoadTest.
    pub load_test: String,
    /// The index of the producer, from 0.
    pub index: i32,
}

/// The report of a producer. The first pod that writes its UID owns the report; the API server refuses any other.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(
    validation = Rule::new("!has(oldSelf.podUid) || (has(self.podUid) && self.podUid == oldSelf.podUid)")
        .message("this report belongs to another pod"),
    validation = Rule::new("!has(oldSelf.result) || (has(self.result) ? self.result == oldSelf.result : has(self.summed))")
        .message("the result of a producer is written once"),
    validation = Rule::new("!has(oldSelf.summed) || (has(self.summed) && !has(self.result))")
        .message("the result of this producer is a part of that of its LoadTest already")
)]
#[serde(rename_all = "camelCase")]
pub struct ProducerReportStatus {
    /// The UID of the pod that owns the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// The node of that pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// When the producer was ready: images encoded, partition assigned, connection warm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<MicroTime>,
    /// What the producer waits for before it sends; absent if it waits for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// The progress of warm-up and measurement together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProducerProgress>,
    /// The result: counts and histograms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<ProducerResult>,
    /// Set by the operator when it has added the result to that of the LoadTest and removed it from this report.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub summed: bool,
    /// Why the producer gave up, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What a producer waits for.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// `NoAnswer`: Kafka did not answer a request. `NoTopic`: a topic is missing. `NoLeader`: a partition has no leader.
    /// `ConsumerLag`: the classifier has not caught up. `CommonStart`: it is ready.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// One sentence with the numbers and names.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// The progress of a producer.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ProducerProgress {
    /// The images so far.
    pub messages: Counts,
    /// The latencies of the answers since the previous progress, in the form of the result's histograms.
    pub recent_latency: String,
    /// The time since the previous progress, in milliseconds.
    #[schemars(range(min = 0))]
    pub recent_millis: i64,
}
