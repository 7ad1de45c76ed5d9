//! What the workers of a Pipeline may do: say in its status how they are. Nothing else.

use k8s_openapi::api::{
    core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, PodTemplateSpec, ServiceAccount},
    rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
};
use kube::core::ObjectMeta;
use tailrace_crds::{pipeline::Topology, pod_template::PodTemplate};

use super::{metadata, name_of, pods};
use crate::{
    labels::Component,
    pipeline::validate::{Database, Kafka, Validated},
    pod_template,
};

/// Accounts, what those of the workers may do, and the link between both.
#[derive(Clone, Debug, PartialEq)]
pub struct Permissions {
    /// Who the pods are, but for those that run under an account that is there already.
    pub accounts: Vec<ServiceAccount>,
    /// What they may.
    pub role: Role,
    /// The link between both.
    pub binding: RoleBinding,
}

/// Those of the workers that report: the classifier, the bridge and the db-consumer.
pub fn permissions(pipeline: &Validated) -> Permissions {
    let name = account_name(pipeline);
    let metadata = ObjectMeta { name: Some(name.clone()), ..metadata(pipeline, Component::Inference) };
    let parts = parts(pipeline);
    let reporters = parts.iter().filter(|part| reports(**part)).filter_map(|part| account_of(pipeline, *part));
    let mut reporters: Vec<String> = reporters.collect();
    reporters.dedup();
    let subject = |name| Subject {
        kind: "ServiceAccount".into(),
        name,
        namespace: Some(pipeline.namespace.clone()),
        ..Subject::default()
    };
    Permissions {
        accounts: accounts(pipeline, &metadata, &parts),
        role: Role {
            metadata: metadata.clone(),
            rules: Some(vec![PolicyRule {
                api_groups: Some(vec!["tailrace.dev".into()]),
                resources: Some(vec!["pipelines/status".into()]),
                resource_names: Some(vec![pipeline.name.clone()]),
                verbs: vec!["patch".into()],
                ..PolicyRule::default()
            }]),
        },
        binding: RoleBinding {
            role_ref: RoleRef { api_group: "rbac.authorization.k8s.io".into(), kind: "Role".into(), name },
            subjects: Some(reporters.into_iter().map(subject).collect()),
            metadata,
        },
    }
}

/// The one of the workers, and one for each part whose account is to have annotations.
fn accounts(pipeline: &Validated, of_workers: &ObjectMeta, parts: &[Component]) -> Vec<ServiceAccount> {
    let own = parts.iter().copied().filter(|part| has_own_account(pipeline.template(*part)));
    let own = own.map(|part| pod_template::account(metadata(pipeline, part), pipeline.template(part)));
    [pod_template::account(of_workers.clone(), &PodTemplate::default())].into_iter().chain(own).collect()
}

/// The parts that this Pipeline has.
fn parts(pipeline: &Validated) -> Vec<Component> {
    let kafka = matches!(pipeline.kafka, Kafka::Managed { .. }).then_some(Component::Kafka);
    let database = matches!(pipeline.database, Database::Managed { .. }).then_some(Component::Database);
    let inference: &[_] = match pipeline.inference.topology {
        Topology::Fused => &[Component::Inference],
        Topology::Split => &[Component::InferenceServer, Component::InferenceConsumer],
    };
    let archive = pipeline.archive.enabled.then_some(Component::Archive);
    let jobs = [Component::Topics, Component::Check, Component::Documents];
    kafka.into_iter().chain(database).chain(inference.iter().copied()).chain(archive).chain(jobs).collect()
}

/// Whether the pods of a part say in the Pipeline's status how they are.
fn reports(part: Component) -> bool {
    matches!(part, Component::Inference | Component::InferenceConsumer | Component::Archive)
}

fn has_own_account(template: &PodTemplate) -> bool {
    template.service_account_name.is_none() && !template.service_account_annotations.is_empty()
}

/// The account that the pods of a part run under; without one it is that of the namespace.
pub fn account_of(pipeline: &Validated, part: Component) -> Option<String> {
    let template = pipeline.template(part);
    let named = template.service_account_name.clone();
    named
        .or_else(|| has_own_account(template).then(|| name_of(&pipeline.name, part)))
        .or_else(|| reports(part).then(|| account_name(pipeline)))
}

fn account_name(pipeline: &Validated) -> String {
    format!("{}-worker", pipeline.name)
}

/// Gives a pod access to the API server, and its container the names that it reports under.
pub fn let_report(pipeline: &Validated, pod: &mut PodTemplateSpec) {
    let Some(spec) = &mut pod.spec else { return };
    spec.automount_service_account_token = Some(true);
    for container in &mut spec.containers {
        container.env.get_or_insert_default().extend([
            pods::variable("TAILRACE_PIPELINE_NAME", &pipeline.name),
            pods::variable("TAILRACE_NAMESPACE", &pipeline.namespace),
            own_name("TAILRACE_POD_NAME"),
        ]);
    }
}

fn own_name(variable: &str) -> EnvVar {
    let field = ObjectFieldSelector { field_path: "metadata.name".into(), api_version: None };
    let source = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    EnvVar { name: variable.into(), value: None, value_from: Some(source) }
}
