//! From the YAML of a Pipeline to its objects.

mod pod_templates;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use clap::Parser;
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use kube::ResourceExt;
use serde_json::json;
use tailrace_crds::Pipeline;

use super::{Permissions, Resources, build};
use crate::{
    labels::Component,
    pipeline::validate::{Invalid, Validated, validate},
    pod_template::{
        Defaults,
        sample::{marks, pod_templates, sample, write},
    },
    settings::{Images, Settings},
};

fn settings() -> Settings {
    Settings::parse_from([
        "tailrace-operator",
        "--worker-image=tailrace/worker:1",
        "--kafka-image=apache/kafka:4.1.1",
        "--mongodb-image=mongo:8.0.20",
        "--ferretdb-image=ferretdb:1.24",
        "--pod-name=operator-0",
        "--pod-namespace=default",
    ])
}

fn images() -> Images {
    settings().images
}

fn validated(pipeline: &Pipeline) -> Result<Validated, Invalid> {
    validate(pipeline, &settings())
}

fn pipeline(spec: &str) -> Pipeline {
    let yaml = format!(
        "apiVersion: tailrace.dev/v1alpha1
kind: Pipeline
metadata: {{name: cifar, namespace: demo, uid: 7d3a, generation: 1}}
spec: {spec}"
    );
    serde_yaml_ng::from_str(&yaml).unwrap()
}

fn built(spec: &str) -> Resources {
    build(&validated(&pipeline(spec)).unwrap(), &images())
}

const SPLIT: &str = "{inference: {topology: Split}}";

fn pods(resources: &Resources) -> Vec<PodTemplateSpec> {
    let sets = [&resources.kafka, &resources.database].into_iter().flatten();
    let deployments = resources.inference.iter().map(|(_, deployment)| deployment).chain(&resources.archive);
    sets.map(|set| set.spec.clone().unwrap().template)
        .chain(deployments.map(|deployment| deployment.spec.clone().unwrap().template))
        .chain([&resources.topics, &resources.check].map(|job| job.spec.clone().unwrap().template))
        .collect()
}

fn container(pod: &PodTemplateSpec) -> &Container {
    &pod.spec.as_ref().unwrap().containers[0]
}

fn variable(container: &Container, name: &str) -> Option<String> {
    container.env.as_ref()?.iter().find(|variable| variable.name == name)?.value.clone()
}

#[test]
fn an_empty_spec_makes_kafka_mongodb_a_classifier_and_an_archive() {
    let resources = built("{}");
    let images: Vec<_> = pods(&resources).iter().map(|pod| container(pod).image.clone().unwrap()).collect();
    let worker = "tailrace/worker:1";
    assert_eq!(images, ["apache/kafka:4.1.1", "mongo:8.0.20", worker, worker, worker, worker]);
    assert_eq!(resources.bootstrap_servers, "cifar-kafka.demo.svc:9092");

    let archive = resources.archive.unwrap().spec.unwrap().template;
    let uri = variable(container(&archive), "TAILRACE_MONGODB_URI").unwrap();
    assert_eq!(uri, "mongodb://cifar-database.demo.svc:27017/?directConnection=true");
    assert_eq!(variable(container(&archive), "TAILRACE_GROUP").unwrap(), "tailrace-demo-cifar-archive");
}

#[test]
fn every_pod_keeps_to_the_restricted_level_and_has_a_memory_limit() {
    let ferretdb = "{mongodb: {managed: {engine: FerretDB}}}";
    for pod in [pods(&built("{}")), pods(&built(ferretdb)), pods(&built(SPLIT))].concat() {
        let spec: &PodSpec = pod.spec.as_ref().unwrap();
        let container = container(&pod);
        let name = &container.name;
        let (pod_security, security) =
            (spec.security_context.as_ref().unwrap(), container.security_context.as_ref().unwrap());
        assert_eq!(pod_security.run_as_non_root, Some(true), "{name}");
        assert_ne!(pod_security.run_as_user, Some(0), "{name}");
        assert_eq!(pod_security.seccomp_profile.as_ref().unwrap().type_, "RuntimeDefault", "{name}");
        assert_eq!(security.read_only_root_filesystem, Some(true), "{name}");
        assert_eq!(security.allow_privilege_escalation, Some(false), "{name}");
        assert_eq!(security.capabilities.as_ref().unwrap().drop, Some(vec!["ALL".into()]), "{name}");
        let reports = ["inference", "inference-consumer", "archive"].contains(&name.as_str());
        assert_eq!(spec.automount_service_account_token, Some(reports), "{name}");
        assert_eq!(spec.service_account_name.as_deref(), reports.then_some("cifar-worker"), "{name}");
        assert_eq!(spec.enable_service_links, Some(false), "{name}");
        let resources = container.resources.as_ref().unwrap();
        assert!(resources.limits.as_ref().unwrap().contains_key("memory"), "{name}");
        assert!(!resources.limits.as_ref().unwrap().contains_key("cpu"), "{name}");
        assert!(resources.requests.as_ref().unwrap().contains_key("cpu"), "{name}");
    }
}

#[test]
fn everything_is_owned_by_the_pipeline_and_carries_its_labels() {
    let resources = built("{}");
    let mut metadata = vec![&resources.topics.metadata, &resources.check.metadata];
    metadata.extend(resources.inference.iter().map(|(_, deployment)| &deployment.metadata));
    metadata.extend(resources.services.iter().map(|service| &service.metadata));
    metadata.extend(resources.network_policies.iter().map(|policy| &policy.metadata));
    metadata.extend(resources.kafka.iter().chain(&resources.database).map(|set| &set.metadata));
    let Permissions { accounts, role, binding } = &resources.permissions;
    metadata.extend([&accounts[0].metadata, &role.metadata, &binding.metadata]);
    assert_eq!(metadata.len(), 13);
    for metadata in metadata {
        let owner = &metadata.owner_references.as_ref().unwrap()[0];
        assert_eq!((owner.kind.as_str(), owner.uid.as_str(), owner.controller), ("Pipeline", "7d3a", Some(true)));
        assert_eq!(metadata.labels.as_ref().unwrap()["tailrace.dev/pipeline"], "cifar");
    }
}

#[test]
fn the_heap_follows_from_the_memory_limit() {
    let heap = |spec| variable(container(&pods(&built(spec))[0]), "KAFKA_HEAP_OPTS").unwrap();
    assert_eq!(heap("{}"), "-Xms512m -Xmx512m");
    assert_eq!(heap("{kafka: {managed: {resources: {limits: {memory: 512Mi}}}}}"), "-Xms256m -Xmx256m");
}

#[test]
fn a_broker_restarts_when_its_configuration_changes_and_not_otherwise() {
    let pod = |spec| pods(&built(spec))[0].clone();
    assert_eq!(pod("{}"), pod("{inference: {replicas: 3}}"));
    assert_ne!(pod("{}"), pod("{topics: {images: {partitions: 24}}}"));
}

#[test]
fn an_external_kafka_and_an_external_database_are_only_used() {
    let resources = built(
        "{kafka: {external: {bootstrapServers: 'k:9092'}}, mongodb: {external: {uriSecretRef: {name: mongo, key: uri}}}}",
    );
    assert!(resources.kafka.is_none() && resources.database.is_none());
    assert!(resources.services.is_empty());
    assert_eq!(resources.bootstrap_servers, "k:9092");

    let archive = resources.archive.unwrap().spec.unwrap().template;
    let uri = container(&archive).env.clone().unwrap().into_iter().find(|v| v.name == "TAILRACE_MONGODB_URI").unwrap();
    assert_eq!(uri.value, None);
    let reference = uri.value_from.unwrap().secret_key_ref.unwrap();
    assert_eq!((reference.name.as_str(), reference.key.as_str()), ("mongo", "uri"));
}

#[test]
fn without_an_archive_there_is_no_database() {
    let resources = built("{archive: {enabled: false}}");
    assert!(resources.archive.is_none() && resources.database.is_none());
    let check = resources.check.spec.unwrap().template;
    assert_eq!(variable(container(&check), "TAILRACE_DATABASE"), None);
}

#[test]
fn split_a_consumer_asks_a_server_and_reads_on_where_the_fused_classifier_stopped() {
    let (split, fused) = (built(SPLIT), built("{}"));
    let pods: Vec<_> = split.inference.iter().map(|(_, d)| d.spec.clone().unwrap().template).collect();
    let [server, consumer] = [container(&pods[0]), container(&pods[1])];
    assert_eq!(
        [&server.args, &consumer.args],
        [&Some(vec!["inference-server".into()]), &Some(vec!["inference-consumer".into()])]
    );

    let url = variable(consumer, "TAILRACE_SERVER_URL").unwrap();
    assert_eq!(url, "http://cifar-inference-server.demo.svc:8080");
    let service = split.services.iter().find(|service| service.name_any() == "cifar-inference-server").unwrap();
    let selector = service.spec.clone().unwrap().selector.unwrap();
    let labels = pods[0].metadata.clone().unwrap().labels.unwrap();
    assert!(selector.iter().all(|(key, value)| labels.get(key) == Some(value)), "{selector:?} selects {labels:?}");

    let group = |pod: &PodTemplateSpec| variable(container(pod), "TAILRACE_GROUP").unwrap();
    assert_eq!(group(&pods[1]), group(&fused.inference[0].1.spec.clone().unwrap().template));
    assert_eq!(variable(server, "TAILRACE_BOOTSTRAP_SERVERS"), None);
}

#[test]
fn split_the_spec_of_the_classifier_is_that_of_the_server() {
    let spec = "{inference: {topology: Split, replicas: 3, maxBatch: 16, nodeSelector: {disk: fast}}}";
    let resources = built(spec);
    let specs: Vec<_> = resources.inference.iter().map(|(_, d)| d.spec.clone().unwrap()).collect();
    assert_eq!(specs.iter().map(|spec| spec.replicas.unwrap()).collect::<Vec<_>>(), [3, 1]);
    let placed = |pod: &PodTemplateSpec| pod.spec.as_ref().unwrap().node_selector.is_some();
    assert_eq!([placed(&specs[0].template), placed(&specs[1].template)], [true, false]);
    assert_eq!(variable(container(&specs[0].template), "TAILRACE_MAX_BATCH").unwrap(), "16");
    assert_eq!(variable(container(&specs[1].template), "TAILRACE_CONCURRENCY").unwrap(), "96");
}

#[test]
fn only_changed_pods_are_checked_again() {
    let check = |spec| built(spec).check.name_any();
    assert_ne!(check("{}"), check(SPLIT));
    assert_eq!(check("{}"), check("{deletionPolicy: Delete}"));
    assert_eq!(check("{}"), check("{inference: {replicas: 2}}"));
    assert_ne!(check("{}"), check("{inference: {maxBatch: 16}}"));

    let newer = Images { worker: "tailrace/worker:2".into(), ..images() };
    let upgraded = build(&validated(&pipeline("{}")).unwrap(), &newer);
    assert_ne!(check("{}"), upgraded.check.name_any());
}

#[test]
fn the_names_of_jobs_fit_into_a_label() {
    let mut longest = pipeline("{}");
    longest.metadata.name = Some("p".repeat(40));
    let resources = build(&validated(&longest).unwrap(), &images());
    let name = format!("{}-999", resources.topics.name_any());
    assert!(name.len() <= 63, "{name} has {} characters", name.len());
}

#[test]
fn a_broker_with_too_little_memory_is_refused_with_what_to_write() {
    let refused = validated(&pipeline("{kafka: {managed: {resources: {limits: {memory: 128Mi}}}}}")).unwrap_err();
    assert!(refused.to_string().ends_with("write at least 384Mi"), "{refused}");
}

#[test]
fn the_archive_is_told_how_long_documents_are_kept() {
    let retention = |spec| {
        let archive = built(spec).archive.unwrap().spec.unwrap().template;
        variable(container(&archive), "TAILRACE_RETENTION")
    };
    assert_eq!(retention("{}"), None);
    assert_eq!(retention("{mongodb: {managed: {}, retention: 168h}}").as_deref(), Some("168h"));
    let external = "{mongodb: {retention: 90m, external: {uriSecretRef: {name: mongo, key: uri}}}}";
    assert_eq!(retention(external).as_deref(), Some("90m"));
}

#[test]
fn mongodb_runs_on_kernels_that_its_allocator_does_not_know() {
    let tunables = |spec| {
        let database = built(spec).database.unwrap().spec.unwrap().template;
        variable(container(&database), "GLIBC_TUNABLES")
    };
    assert_eq!(tunables("{}").as_deref(), Some("glibc.pthread.rseq=1"));
    assert_eq!(tunables("{mongodb: {managed: {engine: FerretDB}}}"), None);
}

#[test]
fn consumers_begin_where_the_pipeline_says_and_know_whose_answers_are_theirs() {
    let external = "kafka: {external: {bootstrapServers: 'kafka:9092'}}";
    for (spec, expected) in [
        ("{}".to_owned(), "earliest"),
        ("{startFrom: Latest}".to_owned(), "latest"),
        (format!("{{{external}}}"), "latest"),
        (format!("{{{external}, startFrom: Earliest}}"), "earliest"),
    ] {
        let resources = built(&spec);
        let deployments = resources.inference.iter().map(|(_, deployment)| deployment).chain(&resources.archive);
        for deployment in deployments {
            let pod = &deployment.spec.as_ref().unwrap().template;
            let value = |name| variable(container(pod), name);
            assert_eq!(value("TAILRACE_START_FROM").as_deref(), Some(expected), "{spec}");
            assert_eq!(value("TAILRACE_PIPELINE_UID").as_deref(), Some("7d3a"), "{spec}");
        }
        let check = resources.check.spec.unwrap().template;
        assert_eq!(variable(container(&check), "TAILRACE_PIPELINE_UID").as_deref(), Some("7d3a"));
        let group = variable(container(&check), "TAILRACE_ARCHIVE_GROUP");
        assert_eq!(group.as_deref(), Some("tailrace-demo-cifar-archive"));
    }
}
