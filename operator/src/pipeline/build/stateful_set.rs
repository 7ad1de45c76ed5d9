//! One pod with a volume that outlives it: how the managed broker and the managed database run.

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec},
        core::v1::{PodTemplateSpec, Probe, TCPSocketAction},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{claims, metadata, name_of};
use crate::{
    labels::{self, Component},
    pipeline::validate::Validated,
};

/// What a server is given to bring its volume in order.
const GRACE_SECONDS: i64 = 60;

/// A StatefulSet of one `pod`, whose volume is called `data`.
pub fn stateful_set(pipeline: &Validated, component: Component, mut pod: PodTemplateSpec) -> StatefulSet {
    if let Some(spec) = &mut pod.spec {
        spec.termination_grace_period_seconds = Some(GRACE_SECONDS);
        spec.volumes.get_or_insert_default().push(claims::volume(pipeline, component));
    }
    StatefulSet {
        metadata: metadata(pipeline, component),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            selector: labels::select(&pipeline.name, component),
            service_name: Some(name_of(&pipeline.name, component)),
            template: pod,
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// A probe that opens a connection and closes it.
pub fn accepts_connections(port: i32, period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction { port: IntOrString::Int(port), host: None }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failure_threshold),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}
