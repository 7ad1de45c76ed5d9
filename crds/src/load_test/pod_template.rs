//! Where the producers run, and with how much.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration, TopologySpreadConstraint};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// What the pods of the producers have beyond the defaults.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// CPU and memory of a producer's container. Without them: requests of 250m CPU and 128Mi, a memory limit of 512Mi, no
    /// CPU limit. What is written here takes the place of all of these, but there always is a memory limit. A CPU limit
    /// may throttle a producer, which then sends late: that is measured as send delay and can make the result invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Labels of the nodes on which the producers may run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    #[x_kube(validation = rules::keys_of_labels("a label of nodes"), validation = rules::values_of_labels())]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the producers tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub tolerations: Vec<Toleration>,
    /// How the producers are spread over nodes or zones. Without a label selector, the producers of this LoadTest are counted.
    /// That producers prefer nodes without the Pipeline's pods stays as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
}
