//! `Pipeline`: Kafka, a database, a classifier and the consumers between them.

mod database;
mod kafka;
mod status;
mod topics;
mod worker;
mod workloads;

pub use database::{DatabaseEngine, ExternalDatabase, ManagedDatabase, MongoDb, SecretKey};
pub use kafka::{ExternalKafka, Kafka, ManagedKafka};
pub use status::{ActiveLoadTest, DatabaseStatus, KafkaStatus, ModelStatus, PipelineStatus, TopicStatus, VolumeStatus};
pub use topics::{DeadLetterTopic, ImagesTopic, InferencesTopic, Topics};
pub use worker::{SkippedRecords, VolumeUse, WorkerStatus};
pub use workloads::{Archive, Inference, InferenceConsumer, Jobs, Topology};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// A running image-inference system: images from Kafka through a classifier and back, archived in a database.
/// `spec: {}` is valid: a managed Kafka, a managed MongoDB, one classifier.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "tailrace.dev",
    version = "v1alpha1",
    kind = "Pipeline",
    doc = "A running image-inference system: images from Kafka through a classifier and back, archived in a database.",
    namespaced,
    status = "PipelineStatus",
    shortname = "trp",
    category = "tailrace",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.size() <= 40")
        .message("the name of a Pipeline has at most 40 characters, since pods and Services are named after it: choose a shorter one"),
    validation = crate::rules::names_services("Pipeline"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Kafka", type_ = "string", json_path = ".status.kafka.bootstrapServers"),
    printcolumn(name = "Database", type_ = "string", json_path = ".status.database.engine"),
    printcolumn(name = "Model", type_ = "string", json_path = ".status.model.name"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct PipelineSpec {
    /// The Kafka that carries images and answers. Exactly one of `managed` and `external`; managed by default.
    #[serde(default)]
    pub kafka: Kafka,
    /// The topics of the Pipeline. They are created where they are missing; partitions are raised, never lowered.
    #[serde(default)]
    pub topics: Topics,
    /// The database that keeps images and answers. Exactly one of `managed` and `external`; a managed MongoDB by default.
    #[serde(default)]
    pub mongodb: MongoDb,
    /// The classifier between the two topics.
    #[serde(default)]
    pub inference: Inference,
    /// The db-consumer, which writes images and answers into the database.
    #[serde(default)]
    pub archive: Archive,
    /// The Jobs that make the topics, check the Pipeline and delete documents.
    #[serde(default, skip_serializing_if = "Jobs::is_default")]
    pub jobs: Jobs,
    /// Where a consumer group begins that has never read; one that has goes on where it stopped. By default `Earliest`
    /// with a managed Kafka and `Latest` with an external one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_from: Option<StartFrom>,
    /// What becomes of the volumes of a managed Kafka and a managed database when the Pipeline is deleted. Nothing else
    /// deletes a volume: neither `archive.enabled: false` nor any other change of the spec.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// When changes of this spec, and of the images that a new version of the operator brings, are applied. `AfterTests`, the
    /// default: when no LoadTest is active on the Pipeline, and before the next one starts. `Immediate`: at once, which
    /// ends an active LoadTest with the reason PipelineChanged.
    #[serde(default)]
    pub rollout_policy: RolloutPolicy,
}

/// When changes of a Pipeline are applied. What waits is in the condition RolloutHeld.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RolloutPolicy {
    /// After the active LoadTest.
    #[default]
    AfterTests,
    /// At once.
    Immediate,
}

/// A persistent volume claim.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(
    validation = Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) \
        && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)")
        .message("the StorageClass of a volume cannot be changed: create a new Pipeline")
)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// The size of the volume, such as `2Gi`; at least 256Mi. It can be raised where the StorageClass allows expansion,
    /// and never lowered.
    #[x_kube(
        validation = Rule::new("isQuantity(string(self))")
            .message("not a size: write a number with a unit and without spaces, such as 2Gi"),
        validation = Rule::new("!isQuantity(string(self)) || quantity(string(self)).compareTo(quantity('256Mi')) >= 0")
            .message("the volume is too small: write at least 256Mi"),
        validation = Rule::new("!isQuantity(string(self)) || quantity(string(self)).compareTo(quantity(string(oldSelf))) >= 0")
            .message("a volume cannot shrink: write the present size or a larger one")
    )]
    pub size: Quantity,
    /// The StorageClass; the cluster's default class where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name_or_nothing_of("StorageClass"))]
    pub storage_class_name: Option<String>,
}

/// Where a consumer group begins that has never read; one that has goes on where it stopped. By default `Earliest` with a
/// managed Kafka and `Latest` with an external one.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// With the oldest record that Kafka keeps.
    Earliest,
    /// With the first record that comes after the group is made.
    Latest,
}

/// What becomes of volumes when the Pipeline is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeletionPolicy {
    /// The volumes stay; a Pipeline of the same name finds them again.
    #[default]
    Retain,
    /// The volumes are deleted with the Pipeline.
    Delete,
}
