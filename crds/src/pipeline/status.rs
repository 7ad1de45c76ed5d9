//! What the operator saw of a Pipeline.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use tailrace_measure::environment::Model;

use super::worker::WorkerStatus;

/// What the operator saw of a Pipeline.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct PipelineStatus {
    /// The generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The conditions Ready, KafkaReady, TopicsReady, DatabaseReady, InferenceReady, ArchiveReady, StorageReady, RecordsKept,
    /// TopicsExclusive and RolloutHeld.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The Kafka cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaStatus>,
    /// The database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseStatus>,
    /// The topics that were found in Kafka, with their partitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub topics: Vec<TopicStatus>,
    /// The volumes of the managed Kafka and the managed database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["claim".into()]))]
    pub storage: Vec<VolumeStatus>,
    /// The model that answered the check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// The images of the pods by component: `kafka`, `database`, `inference` or `inference-server` and `inference-consumer`,
    /// `archive`. They include the digest as soon as a node has reported it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    /// The revision that was applied last. It changes when the spec, the images or the version of the operator lead to
    /// different objects. A LoadTest whose Pipeline changes its revision is not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The generation of the spec for which the check sent an image through the whole Pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_generation: Option<i64>,
    /// The LoadTest that is active on this Pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_load_test: Option<ActiveLoadTest>,
    /// The reports of the pods that read from Kafka, by the name of the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub workers: BTreeMap<String, WorkerStatus>,
}

/// The Kafka cluster of a Pipeline.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct KafkaStatus {
    /// Comma-separated `host:port` addresses of its brokers.
    pub bootstrap_servers: String,
}

/// The database of a Pipeline.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseStatus {
    /// `MongoDB`, `FerretDB`, `External` or `None`.
    pub engine: String,
}

/// A topic as it was found.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TopicStatus {
    /// The name of the topic.
    pub name: String,
    /// The number of its partitions.
    pub partitions: i32,
}

/// The volume of a managed server.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VolumeStatus {
    /// The name of the PersistentVolumeClaim.
    pub claim: String,
    /// The component that uses it: `kafka` or `database`.
    pub component: String,
    /// The capacity in the status of the claim, in bytes; absent until the claim is bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_bytes: Option<i64>,
    /// The used space in bytes, as reported by the server that uses the volume; absent until a worker has asked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<i64>,
    /// The free space in bytes. Volumes that are directories of the same file system share it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<i64>,
}

/// The LoadTest that is active on a Pipeline.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ActiveLoadTest {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}
