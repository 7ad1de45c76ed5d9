//! What the pods of all Pipelines and LoadTests have, and what each says beyond that.

use std::collections::BTreeMap;

use serde_json::Value;
use tailrace_crds::pod_template::{PodTemplate, RESERVED_PREFIXES};

/// `own` with what it leaves to all pods. Of labels, annotations and the node selector each key by itself; the pull
/// secrets and tolerations of both; of everything else, that of `own` if there is one. What belongs to one part alone
/// is not inherited.
pub fn inherit(own: PodTemplate, of_all: &PodTemplate) -> PodTemplate {
    let PodTemplate {
        labels,
        annotations,
        resources,
        image_pull_secrets,
        node_selector,
        tolerations,
        affinity,
        topology_spread_constraints,
        priority_class_name,
        runtime_class_name,
        service_account_name,
        service_account_annotations,
    } = own;
    let of_all = of_all.clone();
    PodTemplate {
        labels: each_key(labels, of_all.labels),
        annotations: each_key(annotations, of_all.annotations),
        resources,
        image_pull_secrets: both(image_pull_secrets, of_all.image_pull_secrets),
        node_selector: each_key(node_selector, of_all.node_selector),
        tolerations: both(tolerations, of_all.tolerations),
        affinity: affinity.or(of_all.affinity),
        topology_spread_constraints: if topology_spread_constraints.is_empty() {
            of_all.topology_spread_constraints
        } else {
            topology_spread_constraints
        },
        priority_class_name: priority_class_name.or(of_all.priority_class_name),
        runtime_class_name: runtime_class_name.or(of_all.runtime_class_name),
        service_account_name,
        service_account_annotations,
    }
}

fn each_key(own: BTreeMap<String, String>, mut of_all: BTreeMap<String, String>) -> BTreeMap<String, String> {
    of_all.extend(own);
    of_all
}

fn both<T: PartialEq>(mut own: Vec<T>, of_all: Vec<T>) -> Vec<T> {
    for one in of_all {
        if !own.contains(&one) {
            own.push(one);
        }
    }
    own
}

/// Fields that belong to one part alone.
const OF_ONE_PART: [&str; 3] = ["resources", "serviceAccountName", "serviceAccountAnnotations"];

/// Reads what all pods inherit, as JSON.
///
/// # Errors
/// A sentence that says what to write instead.
pub fn inherited_by_all(json: &str) -> Result<PodTemplate, String> {
    let wanted: Value = serde_json::from_str(json).map_err(|error| format!("not JSON: {error}"))?;
    let template: PodTemplate = serde_json::from_value(wanted.clone()).map_err(|error| error.to_string())?;
    let understood = serde_json::to_value(&template).unwrap_or_default();
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    for (field, _) in wanted.as_object().into_iter().flatten().filter(|(_, value)| !empty(value)) {
        if understood.get(field).is_none() {
            return Err(format!("there is no \"{field}\" for all pods: leave it out"));
        }
        if OF_ONE_PART.contains(&field.as_str()) {
            return Err(format!(
                "{field} cannot be the same for all pods: write it into a podTemplate of a Pipeline or LoadTest"
            ));
        }
    }
    let reserved = |key: &&String| RESERVED_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    match template.labels.keys().chain(template.annotations.keys()).find(reserved) {
        Some(key) => Err(format!(
            "\"{key}\" is the operator's own: write a key that does not begin with {}",
            RESERVED_PREFIXES.join(" or ")
        )),
        None => Ok(template),
    }
}
