//! From the YAML of a Pipeline to its objects.

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
fn a_broker_bounds_its_disk_by_the_size_of_its_volume() {
    let properties = |spec| variable(container(&pods(&built(spec))[0]), "SERVER_PROPERTIES").unwrap();
    let small = properties("{kafka: {managed: {storage: {size: 1Gi}}}}");
    assert!(small.contains("log.segment.bytes=7516192\nlog.retention.bytes=15032385\n"), "{small}");
    assert!(small.contains("advertised.listeners=PLAINTEXT://cifar-kafka.demo.svc:9092\n"), "{small}");
    let large = properties("{kafka: {managed: {storage: {size: 1Ti}}}}");
    assert!(large.contains("log.segment.bytes=134217728\n"), "{large}");
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
fn a_pipeline_made_anew_opens_the_volume_that_the_first_one_left() {
    let mut second = pipeline("{}");
    second.metadata.uid = Some("9b1c".into());
    let second = build(&validated(&second).unwrap(), &images());
    let first = built("{}");
    let id = |resources: &Resources| variable(container(&pods(resources)[0]), "CLUSTER_ID").unwrap();
    assert_eq!(id(&first), id(&second));
    assert_eq!(id(&first).len(), 22);
    assert_ne!(first.check.name_any(), second.check.name_any());
}

#[test]
fn ferretdb_keeps_its_databases_on_the_volume() {
    let database = built("{mongodb: {managed: {engine: FerretDB}}}").database.unwrap().spec.unwrap().template;
    let container = container(&database);
    assert_eq!(container.image.as_deref(), Some("ferretdb:1.24"));
    assert_eq!(variable(container, "FERRETDB_HANDLER").as_deref(), Some("sqlite"));
    assert_eq!(variable(container, "FERRETDB_SQLITE_URL").as_deref(), Some("file:/state/"));
    let data = container.volume_mounts.as_ref().unwrap().iter().find(|mount| mount.name == "data").unwrap();
    assert_eq!(data.mount_path, "/state");
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
fn volumes_stay_or_go_with_the_pipeline_as_the_policy_says() {
    let owners = |spec: &str| -> Vec<_> {
        let claims = built(spec).claims.into_iter();
        claims.map(|(_, claim)| claim.metadata.owner_references.unwrap_or_default().len()).collect()
    };
    assert_eq!(owners("{}"), [0, 0]);
    assert_eq!(owners("{deletionPolicy: Delete}"), [1, 1]);
    assert_eq!(owners("{archive: {enabled: false}}"), [0]);
}

#[test]
fn a_server_mounts_the_claim_that_bears_its_name() {
    let resources = built("{}");
    for (set, (_, claim)) in [resources.kafka, resources.database].into_iter().zip(&resources.claims) {
        let set = set.unwrap().spec.unwrap();
        let volumes = set.template.spec.unwrap().volumes.unwrap();
        let data = volumes.iter().find(|volume| volume.name == "data").unwrap();
        let mounted = &data.persistent_volume_claim.as_ref().unwrap().claim_name;
        assert_eq!((mounted, set.volume_claim_templates), (&claim.name_any(), None));
    }
}

#[test]
fn jobs_are_named_after_the_volumes_they_are_about() {
    let names = |topics: &[&str], check: &[&str]| {
        let owned = |uids: &[&str]| uids.iter().map(|&uid| uid.to_owned()).collect::<Vec<_>>();
        let validated = validated(&pipeline("{}")).unwrap();
        let mut resources = build(&validated, &images());
        resources.name_jobs_after(&validated, &owned(topics), &owned(check));
        (resources.topics.name_any(), resources.check.name_any())
    };
    let (topics, check) = names(&["kafka-1"], &["kafka-1", "database-1"]);
    assert_eq!(names(&["kafka-1"], &["kafka-1", "database-2"]).0, topics);
    assert_ne!(names(&["kafka-1"], &["kafka-1", "database-2"]).1, check);
    assert_ne!(names(&["kafka-2"], &["kafka-2", "database-1"]).0, topics);
}

#[test]
fn what_the_users_resources_leave_out_is_a_memory_limit() {
    let spec = "{inference: {resources: {requests: {cpu: '2', memory: 1Gi}}}}";
    let classifier = built(spec).inference.remove(0).1.spec.unwrap().template;
    let resources = container(&classifier).resources.clone().unwrap();
    assert_eq!(resources.limits.unwrap()["memory"].0, "1Gi");
    assert_eq!(resources.requests.unwrap()["cpu"].0, "2");
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

#[test]
fn every_field_of_every_pod_template_reaches_the_pods_of_its_part() {
    let templates = pod_templates("pipelines");
    let mark = |path: &[String]| path.join("-").to_lowercase();
    let mut reached = BTreeSet::new();
    for (topology, left_out) in [("Fused", "serviceAccountName"), ("Split", "serviceAccountAnnotations")] {
        let mut wanted = pipeline("{}");
        let mut spec = json!({ "inference": { "topology": topology } });
        let mut marks_of = BTreeMap::new();
        for (path, schema) in &templates {
            let mut template = sample(schema, &mark(path));
            template.as_object_mut().unwrap().remove(left_out);
            marks_of.insert(mark(path), marks(&template, &mark(path)));
            write(&mut spec, path, template);
        }
        wanted.spec = serde_json::from_value(spec).unwrap();
        let resources = build(&validated(&wanted).unwrap(), &images());
        let accounts: BTreeMap<_, _> =
            resources.permissions.accounts.iter().map(|account| (account.name_any(), account)).collect();
        for pod in pods(&resources) {
            let account = pod.spec.as_ref().unwrap().service_account_name.as_ref().and_then(|name| accounts.get(name));
            let text = serde_json::to_string(&(&pod, account)).unwrap();
            let name = &container(&pod).name;
            let found: Vec<_> = marks_of.iter().filter(|(mark, _)| text.contains(&format!("\"{mark}."))).collect();
            let [(mark, marks)] = found[..] else { panic!("{name} has {} templates, not one", found.len()) };
            let missing: Vec<_> = marks.iter().filter(|mark| !text.contains(&format!("\"{mark}\""))).collect();
            assert!(missing.is_empty(), "{name}: {missing:?} did not reach {text}");
            reached.insert(mark.clone());
        }
    }
    let all: BTreeSet<_> = templates.iter().map(|(path, _)| mark(path)).collect();
    assert_eq!(reached, all, "every template is that of a part");
}

#[test]
fn the_workers_may_report_under_whichever_accounts_they_run() {
    for spec in [
        "{}",
        SPLIT,
        "{inference: {podTemplate: {serviceAccountName: gpu}}}",
        "{archive: {podTemplate: {serviceAccountAnnotations: {role: a}}}, inference: {topology: Split}}",
    ] {
        let resources = built(spec);
        let subjects = resources.permissions.binding.subjects.clone().unwrap();
        let permitted: BTreeSet<_> = subjects.into_iter().map(|subject| subject.name).collect();
        let with_token =
            |pod: &PodTemplateSpec| pod.spec.as_ref().unwrap().automount_service_account_token == Some(true);
        let reporters = pods(&resources).into_iter().filter(with_token);
        let accounts: BTreeSet<_> = reporters.map(|pod| pod.spec.unwrap().service_account_name.unwrap()).collect();
        assert_eq!(permitted, accounts, "{spec}");
    }
}

#[test]
fn what_is_written_beside_a_template_reaches_the_same_pods() {
    let resources = "resources: {requests: {cpu: 700m}, limits: {memory: 900Mi}}";
    let nodes = "nodeSelector: {disk: fast}, tolerations: [{key: gpu, operator: Exists}]";
    for (beside, within) in [
        (
            format!("{{kafka: {{managed: {{{resources}}}}}}}"),
            format!("{{kafka: {{managed: {{podTemplate: {{{resources}}}}}}}}}"),
        ),
        (
            format!("{{mongodb: {{managed: {{{resources}}}}}}}"),
            format!("{{mongodb: {{managed: {{podTemplate: {{{resources}}}}}}}}}"),
        ),
        (
            format!("{{inference: {{{resources}, {nodes}}}}}"),
            format!("{{inference: {{podTemplate: {{{resources}, {nodes}}}}}}}"),
        ),
    ] {
        assert_eq!(pods(&built(&beside)), pods(&built(&within)), "{beside}");
        assert_ne!(pods(&built(&beside)), pods(&built("{}")), "{beside}");
    }
}

#[test]
fn pods_have_what_all_pods_inherit_and_workers_log_as_the_operator_does() {
    let mut settings = settings();
    settings.pods =
        serde_json::from_value(json!({ "labels": { "team": "vision" }, "priorityClassName": "low" })).unwrap();
    settings.log.level = "debug".into();
    let spec = "{archive: {podTemplate: {priorityClassName: high}}}";
    let resources = build(&validate(&pipeline(spec), &settings).unwrap(), &settings.images);
    for pod in pods(&resources) {
        let container = container(&pod);
        let name = container.name.as_str();
        assert_eq!(pod.metadata.as_ref().unwrap().labels.as_ref().unwrap()["team"], "vision", "{name}");
        let priority = if name == "archive" { "high" } else { "low" };
        assert_eq!(pod.spec.as_ref().unwrap().priority_class_name.as_deref(), Some(priority), "{name}");
        let level = (!["kafka", "database"].contains(&name)).then(|| "debug".to_owned());
        assert_eq!(variable(container, "RUST_LOG"), level, "{name}");
        let format = level.map(|_| "text".to_owned());
        assert_eq!(variable(container, "TAILRACE_LOG_FORMAT"), format, "{name}");
    }
}

#[test]
fn a_pipeline_with_its_jobs_and_three_producers_fits_into_three_quarters_of_a_cpu() {
    for spec in ["{}", SPLIT] {
        let of_pipeline: u64 = pods(&built(spec)).iter().map(cpu_request).sum();
        let producers = 3 * Defaults::of(Component::Producer).cpu_request;
        let bridge = if spec == SPLIT { Defaults::of(Component::InferenceConsumer).cpu_request } else { 0 };
        assert!(of_pipeline + producers <= 750 + bridge, "{spec}: {of_pipeline}m and {producers}m of CPU");
    }
}

/// In thousandths of a CPU.
fn cpu_request(pod: &PodTemplateSpec) -> u64 {
    let requests = container(pod).resources.clone().unwrap().requests.unwrap();
    requests["cpu"].0.strip_suffix('m').unwrap().parse().unwrap()
}

#[test]
fn a_quantity_that_is_none_is_named_where_it_is_written() {
    for (spec, field) in [
        (
            "{archive: {podTemplate: {resources: {limits: {cpu: much}}}}}",
            "spec.archive.podTemplate.resources.limits.cpu",
        ),
        ("{inference: {resources: {requests: {cpu: 2 cores}}}}", "spec.inference.resources.requests.cpu"),
    ] {
        let refusal = validated(&pipeline(spec)).unwrap_err().to_string();
        assert!(refusal.starts_with(field), "{refusal}");
    }
}
