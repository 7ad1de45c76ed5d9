//! What the operator saw of a Pipeline.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::worker::WorkerStatus;

/// What the operator saw of a Pipeline.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct PipelineStatus {
    /// The generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, KafkaReady, TopicsReady, DatabaseReady, InferenceReady, ArchiveReady, StorageReady, RecordsKept, TopicsExclusive,
    /// RolloutHeld.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Where Kafka answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaStatus>,
    /// Which database is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseStatus>,
    /// The topics as they were found, with their partitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub topics: Vec<TopicStatus>,
    /// The volumes of the managed Kafka and the managed database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["claim".into()]))]
    pub storage: Vec<VolumeStatus>,
    /// The model that answered the check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelStatus>,
    /// The images of the pods, with the digests that run once the nodes have said them, by part: `kafka`, `database`, `inference` or `inference-server` and `inference-consumer`,
    /// `archive`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    /// Identifies what was applied last: it differs where the spec, the images or the version of the operator make different
    /// objects. A LoadTest whose Pipeline gets another revision is not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The generation for which an image went through the whole Pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_generation: Option<i64>,
    /// The LoadTest that has this Pipeline for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_load_test: Option<ActiveLoadTest>,
    /// What the pods that read from Kafka say of themselves, by the name of the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub workers: BTreeMap<String, WorkerStatus>,
}

/// Where Kafka answers.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct KafkaStatus {
    /// Comma-separated `host:port` addresses.
    pub bootstrap_servers: String,
}

/// Which database is used.
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
    /// Its partitions.
    pub partitions: i32,
}

/// The volume of a managed server.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VolumeStatus {
    /// The PersistentVolumeClaim.
    pub claim: String,
    /// Whose volume it is: `kafka` or `database`.
    pub component: String,
    /// What the claim says that the volume holds; absent until it is bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_bytes: Option<i64>,
    /// How much of the volume is in use, as the server behind it says; absent until the first worker has asked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<i64>,
    /// How much of it is free. Where volumes are folders of one file system, all of them share this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<i64>,
}

/// The model that answers.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ModelStatus {
    /// The stem of the model's file, such as `resnet20`.
    pub name: String,
    /// SHA-256 of the model's file, in hex.
    pub sha256: String,
}

/// The LoadTest that has a Pipeline for itself.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ActiveLoadTest {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}
