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
    /// How images reach the classifier. It can be changed at any time: the new pods go on where the old ones stopped.
    #[serde(default)]
    pub topology: Topology,
    /// The number of pods that classify. Those of `Fused` share the partitions of the images topic.
    #[serde(default = "one")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 100").message("write a number of replicas from 1 to 100"))]
    pub replicas: i32,
    /// The most images that are classified together. One image alone never waits for others.
    #[serde(default = "eight")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 256").message("write a batch size from 1 to 256"))]
    pub max_batch: i32,
    /// The same as podTemplate.resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// The same as podTemplate.nodeSelector.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    #[x_kube(validation = rules::keys_of_labels("a label of nodes"), validation = rules::values_of_labels())]
    pub node_selector: BTreeMap<String, String>,
    /// The same as podTemplate.tolerations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub tolerations: Vec<Toleration>,
    /// What the pods of the classifier have. Without resources: requests of 200m CPU and 128Mi, a memory limit of 512Mi, no
    /// CPU limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
    /// The inference-consumer, which takes images from Kafka to the classifier in the topology `Split`.
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
    /// What its pod has. Without resources: requests of 50m CPU and 64Mi, a memory limit of 256Mi, no CPU limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

impl InferenceConsumer {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The Jobs of a Pipeline: they make the topics, send an image through as a check, and delete the documents of LoadTests.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Jobs {
    /// What their pods have. Without resources: requests of 20m CPU and 32Mi, a memory limit of 128Mi, no CPU limit.
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
    /// One process takes images from Kafka, classifies them and answers to Kafka. The fastest.
    #[default]
    Fused,
    /// An inference-consumer takes images from Kafka, asks an inference server over HTTP, and answers to Kafka. The
    /// server has a Service, and other clients can use it as well.
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
    /// Whether images and answers are written into the database. Without it no database is made.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The number of db-consumer pods.
    #[serde(default = "one")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 100").message("write a number of replicas from 1 to 100"))]
    pub replicas: i32,
    /// What its pods have. Without resources: requests of 50m CPU and 64Mi, a memory limit of 256Mi, no CPU limit.
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
