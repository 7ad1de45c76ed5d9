//! What the workers of a Pipeline may do: say in its status how they are. Nothing else.

use k8s_openapi::api::{
    core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, PodTemplateSpec, ServiceAccount},
    rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
};
use kube::core::ObjectMeta;

use super::{metadata, pods};
use crate::{labels::Component, pipeline::validate::Validated};

/// An account, what it may do, and the link between both.
#[derive(Clone, Debug, PartialEq)]
pub struct Permissions {
    /// Who the workers are.
    pub account: ServiceAccount,
    /// What they may.
    pub role: Role,
    /// The link between both.
    pub binding: RoleBinding,
}

/// Those of the workers that report: the classifier, the bridge and the db-consumer.
pub fn permissions(pipeline: &Validated) -> Permissions {
    let name = account_name(pipeline);
    let metadata = ObjectMeta { name: Some(name.clone()), ..metadata(pipeline, Component::Inference) };
    Permissions {
        account: ServiceAccount {
            metadata: metadata.clone(),
            automount_service_account_token: Some(false),
            ..ServiceAccount::default()
        },
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
            role_ref: RoleRef {
                api_group: "rbac.authorization.k8s.io".into(),
                kind: "Role".into(),
                name: name.clone(),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".into(),
                name,
                namespace: Some(pipeline.namespace.clone()),
                ..Subject::default()
            }]),
            metadata,
        },
    }
}

fn account_name(pipeline: &Validated) -> String {
    format!("{}-worker", pipeline.name)
}

/// Gives a pod the account of the workers, and its container the names that it reports under.
pub fn let_report(pipeline: &Validated, pod: &mut PodTemplateSpec) {
    let Some(spec) = &mut pod.spec else { return };
    spec.service_account_name = Some(account_name(pipeline));
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
