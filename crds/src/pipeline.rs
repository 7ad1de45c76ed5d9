//! `Pipeline`: Kafka, a database, a classifier and the consumers between them.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{ResourceRequirements, Toleration},
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Condition},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// What becomes of the volumes of a managed Kafka and a managed database when the Pipeline is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Exactly one of `managed` and `external`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(
    validation = Rule::new("has(self.managed) != has(self.external)")
        .message("exactly one of managed and external is wanted: keep the one that describes your Kafka and remove the other"),
    validation = Rule::new("has(self.managed) == has(oldSelf.managed)")
        .message("a Pipeline cannot change between a managed and an external Kafka: create a new Pipeline")
)]
#[serde(rename_all = "camelCase")]
pub struct Kafka {
    /// A single-broker Apache Kafka (KRaft) that the operator runs for this Pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedKafka>,
    /// A Kafka that exists already. Its topics are never deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalKafka>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self { managed: Some(ManagedKafka::default()), external: None }
    }
}

/// A Kafka that the operator runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ManagedKafka {
    /// The volume of the broker. Segments and retention are bounded so that the topics cannot fill it.
    #[serde(default = "kafka_storage")]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("the volume of a managed Kafka cannot be changed: create a new Pipeline"))]
    pub storage: Storage,
    /// CPU and memory of the broker's container. Without them: requests of 200m CPU and 768Mi, a memory limit of 1Gi, no CPU limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

fn kafka_storage() -> Storage {
    Storage { size: Quantity("2Gi".into()), storage_class_name: None }
}

fn database_storage() -> Storage {
    Storage { size: Quantity("5Gi".into()), storage_class_name: None }
}

/// A persistent volume claim.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// The size of the volume, such as `2Gi`; at least 256Mi.
    #[x_kube(validation = Rule::new("quantity(string(self)).compareTo(quantity('256Mi')) >= 0")
        .message("the volume is too small: write at least 256Mi"))]
    pub size: Quantity,
    /// The StorageClass; the cluster's default class where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

impl Default for Storage {
    fn default() -> Self {
        kafka_storage()
    }
}

/// A Kafka that exists already.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExternalKafka {
    /// Comma-separated `host:port` addresses that the pods of this namespace can reach.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[^:,[:space:]]+:[0-9]+(,[^:,[:space:]]+:[0-9]+)*$')")
        .message("not a list of brokers: write host:port, separated by commas, such as kafka-0.example:9092,kafka-1.example:9092"))]
    pub bootstrap_servers: String,
}

/// The topics of a Pipeline.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(validation = Rule::new("self.images.name != self.inferences.name && self.images.name != self.deadLetter.name && self.inferences.name != self.deadLetter.name")
    .message("the three topics need three different names"))]
#[serde(rename_all = "camelCase")]
pub struct Topics {
    /// Images on their way to the classifier; by default `iot_images` with 12 partitions.
    #[serde(default)]
    pub images: ImagesTopic,
    /// Answers on their way back; by default `inferences` with 12 partitions. A producer reads one partition only.
    #[serde(default)]
    pub inferences: InferencesTopic,
    /// Where records go that cannot be decoded; by default `iot_images.dlq`, one partition.
    #[serde(default)]
    pub dead_letter: DeadLetterTopic,
}

fn images_topic() -> String {
    "iot_images".into()
}

fn inferences_topic() -> String {
    "inferences".into()
}

fn dead_letter_topic() -> String {
    "iot_images.dlq".into()
}

fn twelve() -> i32 {
    12
}

macro_rules! topic_with_partitions {
    ($(#[$doc:meta])* $name:ident, $default_fn:literal, $default:expr) => {
        $(#[$doc])*
        #[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
        #[x_kube(validation = Rule::new("self.partitions >= oldSelf.partitions || self.name != oldSelf.name")
            .message("Kafka cannot lower the partitions of a topic: write the old number or a higher one, or name a new topic"))]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            /// The name of the topic.
            #[serde(default = $default_fn)]
            #[schemars(length(min = 1, max = 249))]
            #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9._-]+$')")
                .message("not a topic name: use letters, digits, dots, underscores and hyphens"))]
            pub name: String,
            /// The number of partitions, from 1 to 1000.
            #[serde(default = "twelve")]
            #[x_kube(validation = Rule::new("self >= 1 && self <= 1000").message("write a number of partitions from 1 to 1000"))]
            pub partitions: i32,
        }

        impl Default for $name {
            fn default() -> Self {
                Self { name: $default, partitions: twelve() }
            }
        }
    };
}

topic_with_partitions!(
    /// The topic of the images.
    ImagesTopic,
    "images_topic",
    images_topic()
);
topic_with_partitions!(
    /// The topic of the answers.
    InferencesTopic,
    "inferences_topic",
    inferences_topic()
);

/// The topic of what cannot be decoded.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterTopic {
    /// The name of the topic.
    #[serde(default = "dead_letter_topic")]
    #[schemars(length(min = 1, max = 249))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9._-]+$')")
        .message("not a topic name: use letters, digits, dots, underscores and hyphens"))]
    pub name: String,
}

impl Default for DeadLetterTopic {
    fn default() -> Self {
        Self { name: dead_letter_topic() }
    }
}

/// Exactly one of `managed` and `external`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(
    validation = Rule::new("has(self.managed) != has(self.external)")
        .message("exactly one of managed and external is wanted: keep the one that describes your database and remove the other"),
    validation = Rule::new("has(self.managed) == has(oldSelf.managed)")
        .message("a Pipeline cannot change between a managed and an external database: create a new Pipeline")
)]
#[serde(rename_all = "camelCase")]
pub struct MongoDb {
    /// A database that the operator runs for this Pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedDatabase>,
    /// A MongoDB that exists already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalDatabase>,
    /// The database with the collections `images` and `inferences`.
    #[serde(default = "database_name")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z][a-zA-Z0-9_-]*$')")
        .message("not a database name: begin with a letter, go on with letters, digits, underscores and hyphens"))]
    pub database: String,
}

fn database_name() -> String {
    "iot".into()
}

impl Default for MongoDb {
    fn default() -> Self {
        Self { managed: Some(ManagedDatabase::default()), external: None, database: database_name() }
    }
}

/// A database that the operator runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ManagedDatabase {
    /// `MongoDB` (needs a CPU with AVX), or `FerretDB`: the MongoDB protocol on SQLite, for evaluation and tests.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("the engine of a managed database cannot be changed: create a new Pipeline"))]
    pub engine: DatabaseEngine,
    /// The volume of the database.
    #[serde(default = "database_storage")]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("the volume of a managed database cannot be changed: create a new Pipeline"))]
    pub storage: Storage,
    /// CPU and memory of the database's container. Without them: requests of 100m CPU and 256Mi, a memory limit of 1Gi, no CPU limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

impl Default for ManagedDatabase {
    fn default() -> Self {
        Self { engine: DatabaseEngine::default(), storage: database_storage(), resources: None }
    }
}

/// The server behind a managed database.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DatabaseEngine {
    /// MongoDB 8.
    #[default]
    MongoDB,
    /// FerretDB 1.24 on SQLite.
    FerretDB,
}

/// A MongoDB that exists already.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDatabase {
    /// The key of a Secret in this namespace that holds the connection string, `mongodb://...`.
    pub uri_secret_ref: SecretKey,
}

/// A key of a Secret in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key within the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// The classifier.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Inference {
    /// The number of classifier pods; they share the partitions of the images topic.
    #[serde(default = "one")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 100").message("write a number of replicas from 1 to 100"))]
    pub replicas: i32,
    /// The most images that are classified together. One image alone never waits for others.
    #[serde(default = "eight")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 256").message("write a batch size from 1 to 256"))]
    pub max_batch: i32,
    /// CPU and memory of the classifier's container. Without them: requests of 500m CPU and 128Mi, a memory limit of 512Mi, no CPU limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Labels of the nodes on which the classifier may run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the classifier tolerates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
}

impl Default for Inference {
    fn default() -> Self {
        Self {
            replicas: one(),
            max_batch: eight(),
            resources: None,
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
        }
    }
}

fn one() -> i32 {
    1
}

fn eight() -> i32 {
    8
}

/// The db-consumer.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// Whether images and answers are written into the database. Without it no database is made.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The number of db-consumer pods.
    #[serde(default = "one")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 100").message("write a number of replicas from 1 to 100"))]
    pub replicas: i32,
}

fn yes() -> bool {
    true
}

impl Default for Archive {
    fn default() -> Self {
        Self { enabled: yes(), replicas: one() }
    }
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

/// What the operator saw of a Pipeline.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct PipelineStatus {
    /// The generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, KafkaReady, TopicsReady, DatabaseReady, InferenceReady, ArchiveReady.
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
    /// The model that answered the check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelStatus>,
    /// The images of the pods, by part: `kafka`, `database`, `inference`, `archive`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    /// The generation for which an image went through the whole Pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_generation: Option<i64>,
    /// The LoadTest that has this Pipeline for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_load_test: Option<ActiveLoadTest>,
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
