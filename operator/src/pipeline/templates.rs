//! What the pods of each part of a Pipeline have.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use tailrace_crds::{pipeline::PipelineSpec, pod_template::PodTemplate};

use super::validate::Invalid;
use crate::{
    labels::Component,
    pod_template::{self, Defaults},
    quantity,
};

/// The parts of a Pipeline.
pub const PARTS: [Component; 9] = [
    Component::Kafka,
    Component::Database,
    Component::Inference,
    Component::InferenceServer,
    Component::InferenceConsumer,
    Component::Archive,
    Component::Topics,
    Component::Check,
    Component::Documents,
];

/// What the pods of each part have: what all pods inherit, what the Pipeline says, and complete resources.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    of_parts: BTreeMap<Component, PodTemplate>,
    of_others: PodTemplate,
}

impl Templates {
    /// Of one part.
    pub fn of(&self, part: Component) -> &PodTemplate {
        self.of_parts.get(&part).unwrap_or(&self.of_others)
    }
}

/// Those of a Pipeline, where all pods inherit `of_all`.
pub fn templates(spec: &PipelineSpec, of_all: &PodTemplate) -> Result<Templates, Invalid> {
    let complete = |part: Component| {
        let (field, own) = own(spec, part);
        let mut template = pod_template::inherit(own, of_all);
        let resources = pod_template::resources(template.resources.as_ref(), &Defaults::of(part));
        quantity::check(&resources).map_err(|source| Invalid::Resources { field, source })?;
        template.resources = Some(resources);
        Ok((part, template))
    };
    let of_parts = PARTS.into_iter().map(complete).collect::<Result<_, _>>()?;
    Ok(Templates { of_parts, ..Templates::default() })
}

/// What the Pipeline says of a part, and where its resources are written.
fn own(spec: &PipelineSpec, part: Component) -> (String, PodTemplate) {
    let inference = &spec.inference;
    let (kafka, database) = (spec.kafka.managed.as_ref(), spec.mongodb.managed.as_ref());
    let (field, template, beside) = match part {
        Component::Kafka => (
            "kafka.managed",
            kafka.and_then(|kafka| kafka.pod_template.as_ref()),
            Beside { resources: kafka.and_then(|kafka| kafka.resources.as_ref()), ..Beside::default() },
        ),
        Component::Database => (
            "mongodb.managed",
            database.and_then(|database| database.pod_template.as_ref()),
            Beside { resources: database.and_then(|database| database.resources.as_ref()), ..Beside::default() },
        ),
        Component::Inference | Component::InferenceServer => {
            let (node_selector, tolerations) = (inference.node_selector.clone(), inference.tolerations.clone());
            let resources = inference.resources.as_ref();
            ("inference", inference.pod_template.as_ref(), Beside { resources, node_selector, tolerations })
        }
        Component::InferenceConsumer => {
            ("inference.consumer", inference.consumer.pod_template.as_ref(), Beside::default())
        }
        Component::Archive => ("archive", spec.archive.pod_template.as_ref(), Beside::default()),
        // A Pipeline has no producers.
        Component::Topics | Component::Check | Component::Documents | Component::Producer => {
            ("jobs", spec.jobs.pod_template.as_ref(), Beside::default())
        }
    };
    beside.with(field, template)
}

/// What can also be written beside the template: these fields are older than it. The API server refuses both at once.
#[derive(Default)]
struct Beside<'a> {
    resources: Option<&'a ResourceRequirements>,
    node_selector: BTreeMap<String, String>,
    tolerations: Vec<Toleration>,
}

impl Beside<'_> {
    fn with(self, field: &str, template: Option<&PodTemplate>) -> (String, PodTemplate) {
        let mut template = template.cloned().unwrap_or_default();
        let within = template.resources.is_some() || self.resources.is_none();
        template.resources = template.resources.or_else(|| self.resources.cloned());
        template.node_selector.extend(self.node_selector);
        template.tolerations.extend(self.tolerations);
        let field = if within { format!("{field}.podTemplate.resources") } else { format!("{field}.resources") };
        (field, template)
    }
}
