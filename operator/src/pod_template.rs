//! What users and the chart put on pods: how both come together, and how they reach a pod.

mod defaults;
mod inherit;

pub use defaults::Defaults;
pub use inherit::{inherit, inherited_by_all};

use k8s_openapi::{
    api::core::v1::{
        Affinity, LocalObjectReference, PodAntiAffinity, PodTemplateSpec, ResourceRequirements, ServiceAccount,
        TopologySpreadConstraint,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use tailrace_crds::pod_template::PodTemplate;

use crate::quantity;

/// Puts on a pod what `template` says. What the operator has put there already stays; a spread constraint without a
/// selector counts the pods that are `alike`.
pub fn put_on(pod: &mut PodTemplateSpec, template: &PodTemplate, alike: &LabelSelector) {
    // Without `..`, so that a new field does not compile before it reaches the pod.
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
        // Those of an object of its own: see `account`.
        service_account_annotations: _,
    } = template.clone();

    let metadata = pod.metadata.get_or_insert_default();
    for (own, more) in [(&mut metadata.labels, labels), (&mut metadata.annotations, annotations)] {
        if !more.is_empty() {
            let own = own.get_or_insert_default();
            for (key, value) in more {
                own.entry(key).or_insert(value);
            }
        }
    }
    let spec = pod.spec.get_or_insert_default();
    if let Some(container) = spec.containers.first_mut() {
        container.resources = resources.or(container.resources.take());
    }
    let secrets = image_pull_secrets.into_iter().map(|secret| LocalObjectReference { name: secret.name });
    spec.image_pull_secrets = some(secrets.collect());
    spec.node_selector = (!node_selector.is_empty()).then_some(node_selector);
    spec.tolerations = some(tolerations);
    spec.affinity = both(affinity, spec.affinity.take());
    spec.topology_spread_constraints =
        some(topology_spread_constraints.into_iter().map(|constraint| counting(constraint, alike)).collect());
    spec.priority_class_name = priority_class_name;
    spec.runtime_class_name = runtime_class_name;
    spec.service_account_name = service_account_name.or(spec.service_account_name.take());
}

/// A service account for the pods of a template, without access to the API server.
pub fn account(mut metadata: ObjectMeta, template: &PodTemplate) -> ServiceAccount {
    let annotations = &template.service_account_annotations;
    metadata.annotations = (!annotations.is_empty()).then(|| annotations.clone());
    ServiceAccount { metadata, automount_service_account_token: Some(false), ..ServiceAccount::default() }
}

/// The user's resources, or the defaults; always with a memory limit, by default that of the user's own request. There
/// is no CPU limit of our own: throttling would be measured as latency.
pub fn resources(wanted: Option<&ResourceRequirements>, defaults: &Defaults) -> ResourceRequirements {
    let requested = wanted.and_then(|wanted| wanted.requests.as_ref()?.get("memory").cloned());
    let mut resources = wanted.cloned().unwrap_or_else(|| defaults.requests());
    let limits = resources.limits.get_or_insert_default();
    limits.entry("memory".into()).or_insert_with(|| requested.unwrap_or(quantity::mebibytes(defaults.memory_limit)));
    resources
}

/// The user's affinity, and what the operator prefers on top.
fn both(wanted: Option<Affinity>, preferred: Option<Affinity>) -> Option<Affinity> {
    let (Some(mut wanted), Some(preferred)) = (wanted.clone(), preferred.clone()) else { return wanted.or(preferred) };
    let ours = preferred
        .pod_anti_affinity
        .and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution)
        .unwrap_or_default();
    let avoided: &mut PodAntiAffinity = wanted.pod_anti_affinity.get_or_insert_default();
    avoided.preferred_during_scheduling_ignored_during_execution.get_or_insert_default().extend(ours);
    Some(wanted)
}

/// A constraint without a selector would count no pods at all.
fn counting(mut constraint: TopologySpreadConstraint, alike: &LabelSelector) -> TopologySpreadConstraint {
    constraint.label_selector.get_or_insert_with(|| alike.clone());
    constraint
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
pub mod sample;
#[cfg(test)]
mod tests;
