//! What the workers of a Pipeline say of themselves.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What one pod of a Pipeline says of itself: it writes this when it changes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WorkerStatus {
    /// The part that it plays: `inference`, `inference-consumer` or `archive`.
    pub component: String,
    /// Whether it can do its work.
    pub ready: bool,
    /// Why it is not ready, in one word: `Starting`, `Stopping`, `NoBroker`, `TopicMissing`, `TooFewPartitions`,
    /// `UnsupportedCodec`, `NotAuthorized`, `CorruptRecord`, `ConsumerError`, `DatabaseAway`; `Ready` where it is.
    pub reason: String,
    /// The same in a sentence.
    pub message: String,
    /// Since when it says so.
    pub since: Time,
    /// The records that Kafka deleted before this pod could read them; absent while there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<SkippedRecords>,
    /// How full the volumes are that this pod knows of, by part: `kafka`, `database`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, VolumeUse>,
}

/// Records that Kafka deleted before they were read.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SkippedRecords {
    /// How many, since the pod started.
    pub records: i64,
    /// When the last of them was noticed.
    pub last_time: Time,
}

/// How full a volume is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct VolumeUse {
    /// Bytes in use.
    pub used_bytes: i64,
    /// Bytes in all; absent where the server does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_bytes: Option<i64>,
}
