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

/// Describes the pods of a component, in addition to what the operator sets.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(validation = Rule::new("!has(self.serviceAccountName) || !has(self.serviceAccountAnnotations)")
    .message("serviceAccountAnnotations are those of an account that the operator makes: annotate the account that serviceAccountName names, or leave serviceAccountName out"))]
#[schemars(transform = without_inner_descriptions)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Labels of the pods, at most 32. Labels that begin with `tailrace.dev/` or `app.kubernetes.io/` are reserved for the
    /// operator.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(
        validation = not_reserved("labels"),
        validation = rules::keys_of_labels("a label"),
        validation = rules::values_of_labels()
    )]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pods, at most 32, such as `sidecar.istio.io/inject: "false"`. Annotations that begin with
    /// `tailrace.dev/` or `app.kubernetes.io/` are reserved for the operator.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(
        validation = not_reserved("annotations"),
        validation = rules::keys_of_labels("an annotation")
    )]
    pub annotations: BTreeMap<String, String>,
    /// Requests and limits of the container. They replace all the defaults that the description of podTemplate lists, except
    /// that there is always a memory limit: by default it equals the memory request if there is one, or else the default
    /// limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Secrets in this namespace with credentials for image registries, at most 10. If it is set, the pull secrets of the
    /// service account are not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub image_pull_secrets: Vec<ImagePullSecret>,
    /// Labels of the nodes on which the pods can run, at most 50.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    #[x_kube(
        validation = rules::keys_of_labels("a label of nodes"),
        validation = rules::values_of_labels()
    )]
    pub node_selector: BTreeMap<String, String>,
    /// Tolerations of the pods, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub tolerations: Vec<Toleration>,
    /// Scheduling constraints of the pods; `kubectl explain pod.spec.affinity` describes them. The operator adds a preferred
    /// anti-affinity between producers and the pods of their Pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How the pods are spread over nodes or zones, at most 10 constraints. Without a label selector, a constraint counts the
    /// pods of the same component or, for producers, of the same LoadTest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["topologyKey".into(), "whenUnsatisfiable".into()]))]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// The name of a PriorityClass. Defaults to the default PriorityClass of the cluster, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name_of("PriorityClass"))]
    pub priority_class_name: Option<String>,
    /// The name of a RuntimeClass. Defaults to the default runtime of the nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name_of("RuntimeClass"))]
    pub runtime_class_name: Option<String>,
    /// The name of an existing ServiceAccount in this namespace; the operator binds to it the Role with which workers and
    /// producers report. By default workers and producers use ServiceAccounts that the operator creates, and other pods use
    /// the ServiceAccount `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name_of("ServiceAccount"))]
    pub service_account_name: Option<String>,
    /// Annotations, at most 32, of a ServiceAccount that the operator creates for these pods, such as those by which a cloud
    /// provider assigns them a role. It has the image pull secrets of the ServiceAccount `default`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(
        validation = not_reserved("annotations"),
        validation = rules::keys_of_labels("an annotation")
    )]
    pub service_account_annotations: BTreeMap<String, String>,
}

/// A Secret in the same namespace with credentials for an image registry.
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
