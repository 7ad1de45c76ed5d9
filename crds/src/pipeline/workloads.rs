//! The classifier and the db-consumer of a Pipeline.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{pod_template::PodTemplate, rules};

/// The classifier.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(
    validation = Rule::new("!has(self.resources) || !has(self.podTemplate) || !has(self.podTemplate.resources)")
        .message("written twice: keep podTemplate.resources, and leave out resources beside it"),
    validation = Rule::new("!has(self.nodeSelector) || !has(self.podTemplate) || !has(self.podTemplate.nodeSelector)")
        .message("written twice: keep podTemplate.nodeSelector, and leave out nodeSelector beside it"),
    validation = Rule::new("!has(self.tolerations) || !has(self.podTemplate) || !has(self.podTemplate.tolerations)")
        .message("written twice: keep podTemplate.tolerations, and leave out tolerations beside it")
)]
#[serde(rename_all = "camelCase")]
pub struct Inference {
    /// How images reach the classifier: `Fused` or `Split`. It can be changed at any time; the new pods continue from the
    /// committed offsets of the old ones. Defaults to Fused.
    #[serde(default)]
    pub topology: Topology,
    /// The number of pods of the classifier, from 1 to 100. In the topology `Fused` they share the partitions of the images
    /// topic. Defaults to 1.
    #[serde(default = "one")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 100").message("write a number of replicas from 1 to 100"))]
    pub replicas: i32,
    /// The largest number of images that are classified in one batch, from 1 to 256. A single image never waits for others.
    /// Defaults to 8.
    #[serde(default = "eight")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 256").message("write a batch size from 1 to 256"))]
    pub max_batch: i32,
    /// The same as podTemplate.resources. Only one of the two can be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// The same as podTemplate.nodeSelector. Only one of the two can be set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    #[x_kube(validation = rules::keys_of_labels("a label of nodes"), validation = rules::values_of_labels())]
    pub node_selector: BTreeMap<String, String>,
    /// The same as podTemplate.tolerations. Only one of the two can be set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub tolerations: Vec<Toleration>,
    /// Describes the pods of the classifier. Resources default to requests of 200m CPU and 128Mi of memory and a memory limit
    /// of 512Mi, without a CPU limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
    /// The inference-consumer, which in the topology `Split` reads images from Kafka and sends them to the classifier.
    #[serde(default, skip_serializing_if = "InferenceConsumer::is_default")]
    pub consumer: InferenceConsumer,
}

impl Default for Inference {
    fn default() -> Self {
        Self {
            topology: Topology::default(),
            replicas: one(),
            max_batch: eight(),
            resources: None,
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            pod_template: None,
            consumer: InferenceConsumer::default(),
        }
    }
}

/// The inference-consumer of the topology `Split`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct InferenceConsumer {
    /// Describes its pod. Resources default to requests of 50m CPU and 64Mi of memory and a memory limit of 256Mi, without a
    /// CPU limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

impl InferenceConsumer {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The Jobs of a Pipeline: they create the topics, send an image through the Pipeline as a check, and delete the documents
/// of LoadTests.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Jobs {
    /// Describes their pods. Resources default to requests of 20m CPU and 32Mi of memory and a memory limit of 128Mi, without
    /// a CPU limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

impl Jobs {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How images reach the classifier.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Topology {
    /// One process reads images from Kafka, classifies them and writes the answers to Kafka. The fastest topology.
    #[default]
    Fused,
    /// An inference-consumer reads images from Kafka, sends them to an inference server over HTTP, and writes the answers to
    /// Kafka. The server has a Service, which other clients can use as well.
    Split,
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
    /// Whether images and answers are written to the database. With `false` no database is created. Defaults to true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The number of pods of the db-consumer, from 1 to 100. Defaults to 1.
    #[serde(default = "one")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 100").message("write a number of replicas from 1 to 100"))]
    pub replicas: i32,
    /// Describes its pods. Resources default to requests of 50m CPU and 64Mi of memory and a memory limit of 256Mi, without a
    /// CPU limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

fn yes() -> bool {
    true
}

impl Default for Archive {
    fn default() -> Self {
        Self { enabled: yes(), replicas: one(), pod_template: None }
    }
}
