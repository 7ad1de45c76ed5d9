//! What users put on pods: one type for every pod of every kind.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, ResourceRequirements, Toleration, TopologySpreadConstraint};
use kube::{KubeSchema, core::Rule};
use schemars::Schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rules;

/// Beginnings of the labels and annotations that the operator itself puts on pods.
pub const RESERVED_PREFIXES: [&str; 2] = ["tailrace.dev/", "app.kubernetes.io/"];

/// What pods have beyond what the operator gives them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(validation = Rule::new("!has(self.serviceAccountName) || !has(self.serviceAccountAnnotations)")
    .message("serviceAccountAnnotations are those of an account that the operator makes: annotate the account that serviceAccountName names, or leave serviceAccountName out"))]
#[schemars(transform = without_inner_descriptions)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Labels of the pods. Those that begin with `tailrace.dev/` or `app.kubernetes.io/` are the operator's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(
        validation = not_reserved("labels"),
        validation = rules::keys_of_labels("a label"),
        validation = rules::values_of_labels()
    )]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pods, such as `sidecar.istio.io/inject: "false"`. Those that begin with `tailrace.dev/` or
    /// `app.kubernetes.io/` are the operator's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(
        validation = not_reserved("annotations"),
        validation = rules::keys_of_labels("an annotation")
    )]
    pub annotations: BTreeMap<String, String>,
    /// CPU and memory of the container. What is written here takes the place of all of the defaults, which the field
    /// podTemplate itself names, but there always is a memory limit: that of the memory request, if there is one, or else
    /// that of the defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Secrets of this namespace with the credentials of image registries. With these, those of the service account are not
    /// used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub image_pull_secrets: Vec<ImagePullSecret>,
    /// Labels of the nodes on which the pods may run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    #[x_kube(
        validation = rules::keys_of_labels("a label of nodes"),
        validation = rules::values_of_labels()
    )]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub tolerations: Vec<Toleration>,
    /// Nodes and pods that are sought or avoided; `kubectl explain pod.spec.affinity` describes it. What the operator itself
    /// prefers is added: producers keep away from nodes with pods of their Pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How the pods are spread over nodes or zones. Without a label selector, the pods of the same part are counted or, for
    /// producers, those of the same LoadTest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// A PriorityClass of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name_of("PriorityClass"))]
    pub priority_class_name: Option<String>,
    /// A RuntimeClass of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name_of("RuntimeClass"))]
    pub runtime_class_name: Option<String>,
    /// A service account of this namespace that exists already; the Role by which workers and producers report is bound to
    /// it. Without it they have accounts that are made for them, and other pods have that of the namespace, `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name_of("ServiceAccount"))]
    pub service_account_name: Option<String>,
    /// Annotations of a service account that is made for these pods, such as those by which a cloud gives them a role. It
    /// has the image pull secrets of the namespace's account, `default`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(
        validation = not_reserved("annotations"),
        validation = rules::keys_of_labels("an annotation")
    )]
    pub service_account_annotations: BTreeMap<String, String>,
}

/// A Secret of the same namespace with the credentials of an image registry.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ImagePullSecret {
    /// The name of the Secret, of type `kubernetes.io/dockerconfigjson`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::name_of("Secret"))]
    pub name: String,
}

fn not_reserved(what: &str) -> Rule {
    let is_free = RESERVED_PREFIXES.map(|prefix| format!("!key.startsWith('{prefix}')")).join(" && ");
    let reserved = RESERVED_PREFIXES.join(" or ");
    Rule::new(format!("self.all(key, {is_free})"))
        .message(&*format!("{what} that begin with {reserved} are the operator's own: write others"))
}

/// Keeps the definitions small: the API server and `kubectl apply` take only so much, and `kubectl explain pod.spec`
/// describes Kubernetes' own types.
fn without_inner_descriptions(schema: &mut Schema) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(|properties| properties.values_mut()) {
        let description = property.as_object_mut().and_then(|property| property.remove("description"));
        without_descriptions(property);
        if let (Some(property), Some(description)) = (property.as_object_mut(), description) {
            property.insert("description".into(), description);
        }
    }
}

fn without_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.retain(|name, member| name != "description" || !member.is_string());
            members.values_mut().for_each(without_descriptions);
        }
        Value::Array(members) => members.iter_mut().for_each(without_descriptions),
        _ => {}
    }
}
