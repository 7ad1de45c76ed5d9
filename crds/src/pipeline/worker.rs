//! What the workers of a Pipeline report.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The report of one pod of a Pipeline. The pod writes it when it changes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WorkerStatus {
    /// Its component: `inference`, `inference-consumer` or `archive`.
    pub component: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Why it is not ready, in one word: `Starting`, `Stopping`, `NoBroker`, `TopicMissing`, `TooFewPartitions`,
    /// `UnsupportedCodec`, `NotAuthorized`, `CorruptRecord`, `ConsumerError`, `DatabaseAway`; `Ready` where it is.
    pub reason: String,
    /// The same in a sentence.
    pub message: String,
    /// When this state began.
    pub since: Time,
    /// The records that Kafka deleted before this pod could read them; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<SkippedRecords>,
    /// The use of the volumes that this pod can see, by component: `kafka`, `database`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, VolumeUse>,
}

/// Records that Kafka deleted before they were read.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SkippedRecords {
    /// The number of records since the pod started.
    pub records: i64,
    /// When the last of them were noticed.
    pub last_time: Time,
}

/// The use of a volume.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct VolumeUse {
    /// The used space in bytes.
    pub used_bytes: i64,
    /// The capacity in bytes; absent if the server does not report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_bytes: Option<i64>,
}
