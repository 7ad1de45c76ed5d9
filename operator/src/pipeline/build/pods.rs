//! What all pods of a Pipeline have in common.

use k8s_openapi::{
    api::core::v1::{
        Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, PodSpec, PodTemplateSpec, SecretKeySelector, Volume,
        VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::core::ObjectMeta;

use super::permissions::account_of;
use crate::{
    labels::{self, Component},
    pipeline::validate::Validated,
    pod_security, pod_template,
};

/// What a pod is given to end in good order; where its broker is gone already, it would wait in vain.
const GRACE_SECONDS: i64 = 10;

/// A pod of one container under the restricted level, without access to the API server, with a writable `/tmp`, and
/// with what the Pipeline puts on the pods of `component`.
pub fn pod(pipeline: &Validated, component: Component, user: i64, mut container: Container) -> PodTemplateSpec {
    container.name = component.as_str().into();
    container.security_context = Some(pod_security::of_container());
    container.termination_message_policy = Some("FallbackToLogsOnError".into());
    container.volume_mounts.get_or_insert_default().push(mount("tmp", "/tmp"));
    if component.is_worker() {
        container.env.get_or_insert_default().extend(pipeline.log.clone());
    }
    let template = pipeline.template(component);
    let mut pod = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels::of_pipeline(&pipeline.name, component)),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: vec![container],
            volumes: Some(vec![scratch("tmp", "64Mi")]),
            security_context: Some(pod_security::of_pod(user)),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            automount_service_account_token: Some(false),
            // A Service called kafka would set KAFKA_PORT, which Kafka's own scripts read.
            enable_service_links: Some(false),
            service_account_name: account_of(pipeline, component),
            ..PodSpec::default()
        }),
    };
    pod_template::put_on(&mut pod, template, &labels::select(&pipeline.name, component));
    pod
}

/// A volume that lives as long as its pod.
pub fn scratch(name: &str, size: &str) -> Volume {
    Volume {
        name: name.into(),
        empty_dir: Some(EmptyDirVolumeSource { size_limit: Some(Quantity(size.into())), medium: None }),
        ..Volume::default()
    }
}

/// Where a volume appears in the container.
pub fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { name: volume.into(), mount_path: path.into(), ..VolumeMount::default() }
}

/// An environment variable.
pub fn variable(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.into(), value: Some(value.into()), value_from: None }
}

/// An environment variable that the kubelet fills from a Secret.
pub fn secret_variable(name: &str, secret: &str, key: &str) -> EnvVar {
    let reference = SecretKeySelector { name: secret.into(), key: key.into(), optional: None };
    let source = EnvVarSource { secret_key_ref: Some(reference), ..EnvVarSource::default() };
    EnvVar { name: name.into(), value: None, value_from: Some(source) }
}
