//! The addresses of a Pipeline's servers, and who may reach them.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{Service, ServicePort, ServiceSpec},
        networking::v1::{
            NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
        },
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
        util::intstr::IntOrString,
    },
};
use tailrace_crds::pipeline::Topology;

use super::{database, kafka, metadata, name_of, workers};
use crate::{
    labels::{self, Component},
    pipeline::validate::{Database, Kafka, Validated},
};

/// The host name of a managed server.
pub fn service_host(pipeline: &Validated, component: Component) -> String {
    format!("{}.{}.svc", name_of(&pipeline.name, component), pipeline.namespace)
}

/// The Services of the managed servers and of the inference server. They have an address of their own, so that their
/// names resolve before the pods run: the workers start at the same time.
pub fn services(pipeline: &Validated) -> Vec<Service> {
    let split = pipeline.inference.topology == Topology::Split;
    let inference_server = split.then_some((Component::InferenceServer, workers::HTTP_PORT));
    let servers = managed_servers(pipeline).chain(inference_server);
    servers.map(|(component, port)| service(pipeline, component, port)).collect()
}

fn managed_servers(pipeline: &Validated) -> impl Iterator<Item = (Component, i32)> {
    let kafka = matches!(pipeline.kafka, Kafka::Managed { .. }).then_some((Component::Kafka, kafka::PORT));
    let database =
        matches!(pipeline.database, Database::Managed { .. }).then_some((Component::Database, database::PORT));
    kafka.into_iter().chain(database)
}

fn service(pipeline: &Validated, component: Component, port: i32) -> Service {
    Service {
        metadata: metadata(pipeline, component),
        spec: Some(ServiceSpec {
            selector: labels::select(&pipeline.name, component).match_labels,
            ports: Some(vec![ServicePort {
                name: Some(protocol(component).into()),
                port,
                target_port: Some(IntOrString::Int(port)),
                protocol: Some("TCP".into()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn protocol(server: Component) -> &'static str {
    match server {
        Component::Kafka => "kafka",
        Component::Database => "mongodb",
        _ => "http",
    }
}

/// The broker takes whoever carries the Pipeline's label: its workers, its producers, and cameras that are given it.
/// The database takes the pods that archive, check and delete. The workers show their health and metrics to the
/// cluster; the Jobs listen to nobody.
pub fn policies(pipeline: &Validated) -> Vec<NetworkPolicy> {
    let servers = managed_servers(pipeline).map(|(component, port)| {
        let from = match component {
            Component::Database => components(pipeline, &[Component::Archive, Component::Check, Component::Documents]),
            _ => LabelSelector {
                match_labels: Some(BTreeMap::from([(labels::PIPELINE.into(), pipeline.name.clone())])),
                ..LabelSelector::default()
            },
        };
        let peer = NetworkPolicyPeer { pod_selector: Some(from), ..NetworkPolicyPeer::default() };
        policy(pipeline, component, labels::select(&pipeline.name, component), port, peer)
    });
    let everywhere =
        NetworkPolicyPeer { namespace_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() };
    let workers = components(
        pipeline,
        &[
            Component::Inference,
            Component::InferenceServer,
            Component::InferenceConsumer,
            Component::Archive,
            Component::Topics,
            Component::Check,
            Component::Documents,
        ],
    );
    let workers = policy(pipeline, Component::Inference, workers, workers::HTTP_PORT, everywhere);
    servers.chain([workers]).collect()
}

fn policy(
    pipeline: &Validated,
    component: Component,
    pods: LabelSelector,
    port: i32,
    from: NetworkPolicyPeer,
) -> NetworkPolicy {
    NetworkPolicy {
        metadata: metadata(pipeline, component),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(pods),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                from: Some(vec![from]),
                ports: Some(vec![NetworkPolicyPort {
                    port: Some(IntOrString::Int(port)),
                    protocol: Some("TCP".into()),
                    ..NetworkPolicyPort::default()
                }]),
            }]),
            ..NetworkPolicySpec::default()
        }),
    }
}

fn components(pipeline: &Validated, components: &[Component]) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(labels::PIPELINE.into(), pipeline.name.clone())])),
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: labels::COMPONENT.into(),
            operator: "In".into(),
            values: Some(components.iter().map(|component| component.as_str().into()).collect()),
        }]),
    }
}
