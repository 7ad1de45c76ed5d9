//! The classifier and the db-consumer of a Pipeline.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// The classifier.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
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
    /// CPU and memory of the classifier's container. Without them: requests of 500m CPU and 128Mi, a memory limit of 512Mi, no CPU limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Labels of the nodes on which the classifier may run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    #[x_kube(validation = rules::keys_of_labels("a label of nodes"), validation = rules::values_of_labels())]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the classifier tolerates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub tolerations: Vec<Toleration>,
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
        }
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
}

fn yes() -> bool {
    true
}

impl Default for Archive {
    fn default() -> Self {
        Self { enabled: yes(), replicas: one() }
    }
}
