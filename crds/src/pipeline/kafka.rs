//! The Kafka of a Pipeline.

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Storage;
use crate::{pod_template::PodTemplate, rules};

/// Exactly one of `managed` and `external` must be set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(
    validation = Rule::new("has(self.managed) != has(self.external)")
        .message("write either managed or external: managed: {} for a Kafka that the operator runs, external for your own"),
    validation = Rule::new("has(self.managed) == has(oldSelf.managed)")
        .message("a Pipeline cannot change between a managed and an external Kafka: create a new Pipeline")
)]
#[serde(rename_all = "camelCase")]
pub struct Kafka {
    /// An Apache Kafka with a single broker (KRaft) that the operator runs for this Pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedKafka>,
    /// An existing Kafka cluster. Its topics are never deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalKafka>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self { managed: Some(ManagedKafka::default()), external: None }
    }
}

/// A Kafka that the operator runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("!has(self.resources) || !has(self.podTemplate) || !has(self.podTemplate.resources)")
        .message("written twice: keep podTemplate.resources, and leave out resources beside it"))]
#[serde(rename_all = "camelCase")]
pub struct ManagedKafka {
    /// The volume of the broker. Segment size and retention are limited so that the topics cannot fill it. Defaults to 2Gi.
    #[serde(default = "kafka_storage")]
    pub storage: Storage,
    /// The same as podTemplate.resources. Only one of the two can be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Describes the broker's pod. Resources default to requests of 100m CPU and 768Mi of memory and a memory limit of 1Gi,
    /// without a CPU limit. The memory limit must be at least 384Mi.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

impl Default for ManagedKafka {
    fn default() -> Self {
        Self { storage: kafka_storage(), resources: None, pod_template: None }
    }
}

fn kafka_storage() -> Storage {
    Storage { size: Quantity("2Gi".into()), storage_class_name: None }
}

/// An existing Kafka cluster.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExternalKafka {
    /// Comma-separated `host:port` addresses of brokers that the pods of this namespace can reach. IPv6 addresses are written
    /// in brackets, `[2001:db8::1]:9092`.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = rules::addresses_of_brokers())]
    pub bootstrap_servers: String,
}
