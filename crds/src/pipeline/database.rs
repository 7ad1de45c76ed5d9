//! The database of a Pipeline.

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Storage;
use crate::{
    duration::{self, Duration},
    pod_template::PodTemplate,
    rules,
};

/// Exactly one of `managed` and `external` must be set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(
    validation = Rule::new("has(self.managed) != has(self.external)")
        .message("write either managed or external: managed: {} for a database that the operator runs, external for your own"),
    validation = Rule::new("has(self.managed) == has(oldSelf.managed)")
        .message("a Pipeline cannot change between a managed and an external database: create a new Pipeline")
)]
#[serde(rename_all = "camelCase")]
pub struct MongoDb {
    /// A database that the operator runs for this Pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedDatabase>,
    /// An existing MongoDB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalDatabase>,
    /// The name of the database with the collections `images` and `inferences`. Defaults to iot.
    #[serde(default = "database_name")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-zA-Z][a-zA-Z0-9_-]*$')")
            .message("not a database name: begin with a letter, and use letters, digits, underscores and hyphens"),
        validation = Rule::new("!(self in ['admin', 'config', 'local'])")
            .message("MongoDB keeps admin, config and local for itself: write another database name, such as iot")
    )]
    pub database: String,
    /// How long documents are kept, a duration from 1m to 87600h, such as `168h` for a week. Older documents are deleted by a
    /// TTL index (MongoDB) or by the db-consumer (FerretDB). Without it documents are kept forever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = duration::between("1m", "87600h", "documents are kept from 1m to 87600h, which are ten years: write such a duration, such as 168h"))]
    pub retention: Option<Duration>,
}

fn database_name() -> String {
    "iot".into()
}

impl Default for MongoDb {
    fn default() -> Self {
        Self { managed: Some(ManagedDatabase::default()), external: None, database: database_name(), retention: None }
    }
}

/// A database that the operator runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("!has(self.resources) || !has(self.podTemplate) || !has(self.podTemplate.resources)")
        .message("written twice: keep podTemplate.resources, and leave out resources beside it"))]
#[serde(rename_all = "camelCase")]
pub struct ManagedDatabase {
    /// The database server: `MongoDB`, which requires a CPU with AVX, or `FerretDB`, the MongoDB protocol on SQLite, for
    /// evaluation and tests. It cannot be changed. Defaults to MongoDB.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("the engine of a managed database cannot be changed: create a new Pipeline"))]
    pub engine: DatabaseEngine,
    /// The volume of the database. Defaults to 5Gi.
    #[serde(default = "database_storage")]
    pub storage: Storage,
    /// The same as podTemplate.resources. Only one of the two can be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Describes the database's pod. Resources default to requests of 50m CPU and 256Mi of memory and a memory limit of 1Gi,
    /// without a CPU limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

impl Default for ManagedDatabase {
    fn default() -> Self {
        Self { engine: DatabaseEngine::default(), storage: database_storage(), resources: None, pod_template: None }
    }
}

/// The server behind a managed database.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DatabaseEngine {
    /// MongoDB 8.0.
    #[default]
    MongoDB,
    /// FerretDB 1.24 on SQLite.
    FerretDB,
}

/// An existing MongoDB.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDatabase {
    /// The key of a Secret in this namespace that contains the connection string, `mongodb://...`.
    pub uri_secret_ref: SecretKey,
}

/// A key of a Secret in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::name_of("Secret"))]
    pub name: String,
    /// The key within the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::key_of_secret())]
    pub key: String,
}

fn database_storage() -> Storage {
    Storage { size: Quantity("5Gi".into()), storage_class_name: None }
}
