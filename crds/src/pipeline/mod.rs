//! `Pipeline`: Kafka, a database, a classifier and the consumers between them.

mod database;
mod kafka;
mod status;
mod topics;
mod worker;
mod workloads;

pub use database::{DatabaseEngine, ExternalDatabase, ManagedDatabase, MongoDb, SecretKey};
pub use kafka::{ExternalKafka, Kafka, ManagedKafka};
pub use status::{ActiveLoadTest, DatabaseStatus, KafkaStatus, PipelineStatus, TopicStatus, VolumeStatus};
pub use tailrace_measure::environment::Model;
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
    /// The Kafka cluster that carries images and answers, `managed` or `external`. Defaults to managed.
    #[serde(default)]
    pub kafka: Kafka,
    /// The topics of the Pipeline. Missing topics are created; the number of partitions can be increased, never decreased.
    #[serde(default)]
    pub topics: Topics,
    /// The database that stores images and answers, `managed` or `external`. Defaults to a managed MongoDB.
    #[serde(default)]
    pub mongodb: MongoDb,
    /// The classifier, which reads the images topic and writes the inferences topic.
    #[serde(default)]
    pub inference: Inference,
    /// The db-consumer, which writes images and answers to the database.
    #[serde(default)]
    pub archive: Archive,
    /// The Jobs that create the topics, check the Pipeline and delete documents.
    #[serde(default, skip_serializing_if = "Jobs::is_default")]
    pub jobs: Jobs,
    /// Where a consumer group without committed offsets starts to read: `Earliest` or `Latest`. Defaults to Earliest with a
    /// managed Kafka and to Latest with an external one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_from: Option<StartFrom>,
    /// Whether the volumes of a managed Kafka and a managed database are kept (`Retain`) or deleted (`Delete`) when the
    /// Pipeline is deleted. Nothing else deletes a volume: neither `archive.enabled: false` nor any other change of the spec.
    /// Defaults to Retain.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// When changes of this spec, and new images after an upgrade of the operator, are rolled out. `AfterTests`: when no
    /// LoadTest is active on the Pipeline, and before the next one starts. `Immediate`: immediately, which ends an active
    /// LoadTest with the reason PipelineChanged. Defaults to AfterTests.
    #[serde(default)]
    pub rollout_policy: RolloutPolicy,
}

/// When changes of a Pipeline are rolled out. The condition RolloutHeld shows changes that are waiting.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RolloutPolicy {
    /// After the active LoadTest.
    #[default]
    AfterTests,
    /// Immediately.
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
    /// The size of the volume, such as `2Gi`; at least 256Mi. It can be increased if the StorageClass allows volume
    /// expansion, and never decreased.
    #[x_kube(
        validation = Rule::new("isQuantity(string(self))")
            .message("not a size: write a number with a unit and without spaces, such as 2Gi"),
        validation = Rule::new("!isQuantity(string(self)) || quantity(string(self)).compareTo(quantity('256Mi')) >= 0")
            .message("the volume is too small: write at least 256Mi"),
        validation = Rule::new("!isQuantity(string(self)) || quantity(string(self)).compareTo(quantity(string(oldSelf))) >= 0")
            .message("a volume cannot shrink: write the present size or a larger one")
    )]
    pub size: Quantity,
    /// The name of the StorageClass. Defaults to the default StorageClass of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name_or_nothing_of("StorageClass"))]
    pub storage_class_name: Option<String>,
}

/// Where a consumer group without committed offsets starts to read.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// At the oldest record that Kafka has.
    Earliest,
    /// At the first record that is produced after the group was created.
    Latest,
}

/// Whether volumes are kept when the Pipeline is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeletionPolicy {
    /// The volumes are kept; a new Pipeline with the same name uses them again.
    #[default]
    Retain,
    /// The volumes are deleted together with the Pipeline.
    Delete,
}
