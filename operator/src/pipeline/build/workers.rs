//! The pods of `tailrace-worker` that stay: the classifier and the db-consumer.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{Container, ContainerPort, EnvVar, HTTPGetAction, PodTemplateSpec, Probe},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use tailrace_crds::pipeline::{StartFrom, Topics, Topology};

use super::{database, kafka, metadata, network::service_host, permissions::let_report, pods};
use crate::{
    labels::{self, Component},
    pipeline::validate::{Kafka, Validated},
    pod_security,
    settings::Images,
};

/// Where a worker serves its health and its metrics.
pub const HTTP_PORT: i32 = 8080;

/// What classifies: one Deployment, or the two of the topology Split.
pub fn inference(pipeline: &Validated, images: &Images) -> Vec<(Component, Deployment)> {
    match pipeline.inference.topology {
        Topology::Fused => {
            let environment = [environment(pipeline), consuming(pipeline, Component::Inference)].concat();
            vec![(Component::Inference, classifier(pipeline, images, Component::Inference, environment))]
        }
        Topology::Split => vec![
            (Component::InferenceServer, classifier(pipeline, images, Component::InferenceServer, Vec::new())),
            (Component::InferenceConsumer, inference_consumer(pipeline, images)),
        ],
    }
}

fn classifier(pipeline: &Validated, images: &Images, component: Component, mut environment: Vec<EnvVar>) -> Deployment {
    let spec = &pipeline.inference;
    environment.push(pods::variable("TAILRACE_MAX_BATCH", spec.max_batch.to_string()));
    let container = server(container(images, component.as_str(), environment));
    let mut pod = pods::pod(pipeline, component, pod_security::WORKER_USER, container);
    if component == Component::Inference {
        let_report(pipeline, &mut pod);
    }
    deployment(pipeline, component, spec.replicas, pod)
}

/// The bridge from Kafka to the inference server.
fn inference_consumer(pipeline: &Validated, images: &Images) -> Deployment {
    let component = Component::InferenceConsumer;
    let mut environment = environment(pipeline);
    let url = format!("http://{}:{HTTP_PORT}", service_host(pipeline, Component::InferenceServer));
    environment.push(pods::variable("TAILRACE_SERVER_URL", url));
    environment.push(pods::variable("TAILRACE_CONCURRENCY", concurrency(pipeline).to_string()));
    // The same group as that of the other topology, so that one goes on where the other stopped.
    environment.extend(consuming(pipeline, Component::Inference));
    let container = server(container(images, component.as_str(), environment));
    let mut pod = pods::pod(pipeline, component, pod_security::WORKER_USER, container);
    let_report(pipeline, &mut pod);
    deployment(pipeline, component, 1, pod)
}

/// How many images the servers are given at once: a batch that is computed and one that waits for each, and enough for
/// the cores of a server with small batches.
fn concurrency(pipeline: &Validated) -> i32 {
    let batches = (2 * pipeline.inference.max_batch).saturating_mul(pipeline.inference.replicas);
    batches.clamp(16, 256)
}

/// The db-consumer.
pub fn archive(pipeline: &Validated, images: &Images) -> Deployment {
    let mut environment = environment(pipeline);
    environment.extend(database::variables(pipeline));
    environment.extend(pipeline.retention.iter().map(|time| pods::variable("TAILRACE_RETENTION", time.to_string())));
    environment.extend(consuming(pipeline, Component::Archive));
    let container = server(container(images, "db-consumer", environment));
    let mut pod = pods::pod(pipeline, Component::Archive, pod_security::WORKER_USER, container);
    let_report(pipeline, &mut pod);
    deployment(pipeline, Component::Archive, pipeline.archive.replicas, pod)
}

/// The consumer group of a component: one for each Pipeline, also where Pipelines share an external Kafka.
pub fn consumer_group(pipeline: &Validated, component: Component) -> String {
    format!("tailrace-{}-{}-{}", pipeline.namespace, pipeline.name, component.as_str())
}

/// What every member of a consumer group is told besides.
fn consuming(pipeline: &Validated, component: Component) -> Vec<EnvVar> {
    let Topics { images, inferences, .. } = &pipeline.topics;
    let start_from = match pipeline.start_from {
        StartFrom::Earliest => "earliest",
        StartFrom::Latest => "latest",
    };
    let mut variables = vec![
        pods::variable("TAILRACE_GROUP", consumer_group(pipeline, component)),
        pods::variable("TAILRACE_START_FROM", start_from),
        pods::variable("TAILRACE_IMAGES_PARTITIONS", images.partitions.to_string()),
        pods::variable("TAILRACE_INFERENCES_PARTITIONS", inferences.partitions.to_string()),
    ];
    if component == Component::Inference && matches!(pipeline.kafka, Kafka::Managed { .. }) {
        variables.push(pods::variable("TAILRACE_BROKER_VOLUME", "true"));
    }
    variables
}

/// Where every worker finds Kafka and the topics, and the identity of the Pipeline, which its answers carry.
pub fn environment(pipeline: &Validated) -> Vec<EnvVar> {
    let topics = &pipeline.topics;
    vec![
        pods::variable("TAILRACE_PIPELINE_UID", &pipeline.uid),
        pods::variable("TAILRACE_BOOTSTRAP_SERVERS", kafka::bootstrap_servers(pipeline)),
        pods::variable("TAILRACE_IMAGES_TOPIC", &topics.images.name),
        pods::variable("TAILRACE_INFERENCES_TOPIC", &topics.inferences.name),
        pods::variable("TAILRACE_DEAD_LETTER_TOPIC", &topics.dead_letter.name),
    ]
}

/// A container of `tailrace-worker`.
pub fn container(images: &Images, subcommand: &str, environment: Vec<EnvVar>) -> Container {
    Container {
        image: Some(images.worker.clone()),
        image_pull_policy: Some(images.pull_policy.clone()),
        args: Some(vec![subcommand.into()]),
        env: Some(environment),
        ..Container::default()
    }
}

fn server(container: Container) -> Container {
    Container {
        ports: Some(vec![ContainerPort {
            name: Some("http".into()),
            container_port: HTTP_PORT,
            ..ContainerPort::default()
        }]),
        readiness_probe: Some(answers("/readyz", 1, 3)),
        liveness_probe: Some(answers("/livez", 10, 3)),
        ..container
    }
}

fn answers(path: &str, period_seconds: i32, failure_threshold: i32) -> Probe {
    let port = IntOrString::Int(HTTP_PORT);
    Probe {
        http_get: Some(HTTPGetAction { path: Some(path.into()), port, ..HTTPGetAction::default() }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failure_threshold),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}

fn deployment(pipeline: &Validated, component: Component, replicas: i32, pod: PodTemplateSpec) -> Deployment {
    Deployment {
        metadata: metadata(pipeline, component),
        spec: Some(DeploymentSpec {
            replicas: Some(replicas),
            selector: labels::select(&pipeline.name, component),
            template: pod,
            strategy: Some(one_after_the_other()),
            revision_history_limit: Some(2),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// A pod makes room for its successor: a cluster that is full can be upgraded too, and Kafka keeps what comes
/// meanwhile.
fn one_after_the_other() -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("RollingUpdate".into()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(0)),
            max_unavailable: Some(IntOrString::Int(1)),
        }),
    }
}
