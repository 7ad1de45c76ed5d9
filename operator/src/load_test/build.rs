//! The objects of a LoadTest, as a pure function of it and its Pipeline.

mod dataset;
mod pod_template;

pub use pod_template::why_impossible;

use std::time::Duration;

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{
            Affinity, ConfigMap, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, LocalObjectReference,
            ObjectFieldSelector, PodAffinityTerm, PodAntiAffinity, PodSpec, PodTemplateSpec, ServiceAccount, Volume,
            VolumeMount, WeightedPodAffinityTerm,
        },
        rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta},
};
use kube::{Resource, ResourceExt};
use tailrace_crds::{
    LoadTest, Pipeline, ProducerReport, duration,
    load_test::{Arrivals, Load, LoadTestSpec},
    producer_report::ProducerReportSpec,
};
use tailrace_measure::intervals::Files;

use super::observation::producer_name;
use crate::{
    labels::{self, Component},
    pod_security,
    pod_template::{account, put_on},
    settings::Settings,
};

/// A producer has nothing to bring in order when it is told to end.
const TERMINATION_GRACE_SECONDS: i64 = 2;
/// How much longer than the test a Job may run if the operator does not end it.
const DEADLINE_MARGIN: Duration = Duration::from_secs(300);

/// What the producers may do: read their LoadTest, write their reports. Nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Permissions {
    /// Who they are, unless it is somebody who is there already.
    pub account: Option<ServiceAccount>,
    /// What they may.
    pub role: Role,
    /// The link between both.
    pub binding: RoleBinding,
}

/// The permissions of the producers of a test, whose account has these pull secrets.
pub fn permissions(load_test: &LoadTest, pull_secrets: Option<Vec<LocalObjectReference>>) -> Permissions {
    let template = load_test.spec.pod_template.clone().unwrap_or_default();
    let metadata = metadata(load_test, permissions_name(load_test));
    let reports = (0..load_test.spec.producers).map(|index| producer_name(load_test, index)).collect::<Vec<_>>();
    Permissions {
        account: template
            .service_account_name
            .is_none()
            .then(|| ServiceAccount { image_pull_secrets: pull_secrets, ..account(metadata.clone(), &template) }),
        role: Role {
            metadata: metadata.clone(),
            rules: Some(vec![
                rule("loadtests", &["get", "list", "watch"], vec![load_test.name_any()]),
                rule("producerreports/status", &["patch"], reports),
            ]),
        },
        binding: RoleBinding {
            role_ref: RoleRef {
                api_group: "rbac.authorization.k8s.io".into(),
                kind: "Role".into(),
                name: permissions_name(load_test),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".into(),
                name: template.service_account_name.clone().unwrap_or_else(|| permissions_name(load_test)),
                namespace: load_test.namespace(),
                ..Subject::default()
            }]),
            metadata,
        },
    }
}

/// The report of one producer, to be filled in by it.
pub fn report(load_test: &LoadTest, index: i32) -> ProducerReport {
    ProducerReport {
        metadata: metadata(load_test, producer_name(load_test, index)),
        spec: ProducerReportSpec { load_test: load_test.name_any(), index },
        status: None,
    }
}

/// The Job of one producer. It is never started a second time: a restarted producer would be another experiment.
pub fn job(load_test: &LoadTest, pipeline: &Pipeline, settings: &Settings, index: i32) -> Job {
    let metadata = metadata(load_test, producer_name(load_test, index));
    let labels = ObjectMeta { labels: metadata.labels.clone(), ..ObjectMeta::default() };
    let mut pod = PodTemplateSpec { metadata: Some(labels), spec: Some(pod(load_test, pipeline, settings, index)) };
    put_on(&mut pod, &pod_template::template(load_test, settings), &producers(load_test));
    Job {
        spec: Some(JobSpec {
            backoff_limit: Some(0),
            active_deadline_seconds: i64::try_from(longest(&load_test.spec).as_secs()).ok(),
            template: pod,
            ..JobSpec::default()
        }),
        metadata,
        status: None,
    }
}

/// The ConfigMap with the measurement of a test second by second.
pub fn histograms(load_test: &LoadTest, files: &Files) -> ConfigMap {
    let data = [(Files::HISTOGRAMS, &files.histograms), (Files::COUNTS, &files.counts)];
    ConfigMap {
        metadata: metadata(load_test, histograms_name(load_test)),
        data: Some(data.map(|(key, text)| (key.to_owned(), text.clone())).into()),
        ..ConfigMap::default()
    }
}

/// The files in a ConfigMap that [`histograms`] has made.
pub fn files(histograms: &ConfigMap) -> Option<Files> {
    let data = histograms.data.as_ref()?;
    Some(Files { histograms: data.get(Files::HISTOGRAMS)?.clone(), counts: data.get(Files::COUNTS)?.clone() })
}

/// The name of that ConfigMap.
pub fn histograms_name(load_test: &LoadTest) -> String {
    format!("{}-histograms", load_test.name_any())
}

fn longest(spec: &LoadTestSpec) -> Duration {
    [&spec.ready_timeout, &spec.warmup, &spec.duration, &spec.drain_timeout]
        .into_iter()
        .map(duration::Duration::get)
        .fold(DEADLINE_MARGIN, Duration::saturating_add)
}

fn pod(load_test: &LoadTest, pipeline: &Pipeline, settings: &Settings, index: i32) -> PodSpec {
    let temporary =
        Volume { name: "tmp".into(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() };
    PodSpec {
        restart_policy: Some("Never".into()),
        service_account_name: Some(permissions_name(load_test)),
        automount_service_account_token: Some(true),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(TERMINATION_GRACE_SECONDS),
        security_context: Some(pod_security::of_pod(pod_security::WORKER_USER)),
        affinity: Some(away_from_pipeline(&pipeline.name_any())),
        volumes: Some([temporary].into_iter().chain(dataset::volume(&load_test.spec.dataset)).collect()),
        containers: vec![container(load_test, pipeline, settings, index)],
        ..PodSpec::default()
    }
}

fn container(load_test: &LoadTest, pipeline: &Pipeline, settings: &Settings, index: i32) -> Container {
    let (dataset, images) = (&load_test.spec.dataset, &settings.images);
    let mut variables = environment(load_test, pipeline, index);
    let template = pod_template::template(load_test, settings);
    variables.extend(dataset::environment(dataset, pod_template::memory_of_images(&template)));
    variables.extend(settings.log.variables());
    let temporary = VolumeMount { name: "tmp".into(), mount_path: "/tmp".into(), ..VolumeMount::default() };
    Container {
        name: Component::Producer.as_str().into(),
        image: Some(images.worker.clone()),
        image_pull_policy: Some(images.pull_policy.clone()),
        args: Some(vec!["producer".into()]),
        env: Some(variables),
        security_context: Some(pod_security::of_container()),
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some([temporary].into_iter().chain(dataset::mount(dataset)).collect()),
        ..Container::default()
    }
}

/// The flags of `tailrace-worker producer`, as environment variables.
fn environment(load_test: &LoadTest, pipeline: &Pipeline, index: i32) -> Vec<EnvVar> {
    let spec = &load_test.spec;
    let topics = &pipeline.spec.topics;
    let namespace = load_test.namespace().unwrap_or_default();
    let group = |component: &str| format!("tailrace-{namespace}-{}-{component}", pipeline.name_any());
    let source = format!("{}-{index}", load_test.uid().unwrap_or_default());
    let mut variables = vec![
        value("TAILRACE_BOOTSTRAP_SERVERS", bootstrap_servers(pipeline).unwrap_or_default()),
        value("TAILRACE_IMAGES_TOPIC", &topics.images.name),
        value("TAILRACE_INFERENCES_TOPIC", &topics.inferences.name),
        value("TAILRACE_DEAD_LETTER_TOPIC", &topics.dead_letter.name),
        value("TAILRACE_PIPELINE_UID", pipeline.uid().unwrap_or_default()),
        value("TAILRACE_INFERENCE_GROUP", group("inference")),
        value("TAILRACE_INDEX", index),
        value("TAILRACE_PRODUCERS", spec.producers),
        value("TAILRACE_SOURCE", source),
        value("TAILRACE_WARMUP", &spec.warmup),
        value("TAILRACE_DURATION", &spec.duration),
        value("TAILRACE_DRAIN_TIMEOUT", &spec.drain_timeout),
        value("TAILRACE_READY_TIMEOUT", &spec.ready_timeout),
        value("TAILRACE_RAW_LOG", spec.raw_log),
        value("TAILRACE_LOAD_TEST", load_test.name_any()),
        value("TAILRACE_PRODUCER_REPORT", producer_name(load_test, index)),
        field("TAILRACE_NAMESPACE", "metadata.namespace"),
        field("TAILRACE_POD_UID", "metadata.uid"),
        field("TAILRACE_NODE", "spec.nodeName"),
    ];
    if pipeline.spec.archive.enabled {
        variables.push(value("TAILRACE_ARCHIVE_GROUP", group("archive")));
    }
    variables.extend(load(&spec.load));
    variables
}

fn load(load: &Load) -> Vec<EnvVar> {
    match (&load.open, &load.closed) {
        (Some(open), _) => vec![
            value("TAILRACE_LOAD", "open"),
            value("TAILRACE_RATE", open.rate_per_producer),
            value("TAILRACE_ARRIVALS", arrivals(open.arrivals)),
        ],
        (None, closed) => {
            let closed = closed.clone().unwrap_or_default();
            vec![
                value("TAILRACE_LOAD", "closed"),
                value("TAILRACE_OUTSTANDING", closed.outstanding),
                value("TAILRACE_THINK_TIME", closed.think_time),
            ]
        }
    }
}

fn arrivals(arrivals: Arrivals) -> &'static str {
    match arrivals {
        Arrivals::Constant => "constant",
        Arrivals::Poisson => "poisson",
    }
}

/// Where the Pipeline's Kafka answers, once it does.
pub fn bootstrap_servers(pipeline: &Pipeline) -> Option<&str> {
    Some(pipeline.status.as_ref()?.kafka.as_ref()?.bootstrap_servers.as_str())
}

/// Preferred, not required: on one node both must fit.
fn away_from_pipeline(pipeline: &str) -> Affinity {
    let not_producers = LabelSelectorRequirement {
        key: labels::COMPONENT.into(),
        operator: "NotIn".into(),
        values: Some(vec![Component::Producer.as_str().into()]),
    };
    let term = PodAffinityTerm {
        topology_key: "kubernetes.io/hostname".into(),
        label_selector: Some(LabelSelector {
            match_labels: Some([(labels::PIPELINE.to_owned(), pipeline.to_owned())].into()),
            match_expressions: Some(vec![not_producers]),
        }),
        ..PodAffinityTerm::default()
    };
    let preferred = WeightedPodAffinityTerm { weight: 100, pod_affinity_term: term };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![preferred]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

fn metadata(load_test: &LoadTest, name: String) -> ObjectMeta {
    let mut labels = labels::of(&load_test.name_any(), Component::Producer);
    labels.insert(labels::PIPELINE.into(), load_test.spec.pipeline_ref.name.clone());
    labels.insert(labels::LOAD_TEST.into(), load_test.name_any());
    ObjectMeta {
        name: Some(name),
        namespace: load_test.namespace(),
        labels: Some(labels),
        owner_references: load_test.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// The pods of all producers of a test.
fn producers(load_test: &LoadTest) -> LabelSelector {
    let of_test = [(labels::LOAD_TEST.to_owned(), load_test.name_any())];
    LabelSelector { match_labels: Some(of_test.into()), match_expressions: None }
}

fn permissions_name(load_test: &LoadTest) -> String {
    format!("{}-producer", load_test.name_any())
}

fn rule(resource: &str, verbs: &[&str], names: Vec<String>) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec!["tailrace.dev".into()]),
        resources: Some(vec![resource.into()]),
        resource_names: Some(names),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }
}

fn value(name: &str, value: impl ToString) -> EnvVar {
    EnvVar { name: name.into(), value: Some(value.to_string()), value_from: None }
}

fn field(name: &str, path: &str) -> EnvVar {
    let field = ObjectFieldSelector { field_path: path.into(), ..ObjectFieldSelector::default() };
    let from = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    EnvVar { name: name.into(), value_from: Some(from), value: None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        load_test::fixtures,
        pod_template::sample::{marks, pod_templates, sample},
    };

    /// What the producers of a test with this load are told of it.
    fn told(of_load: serde_json::Value) -> Vec<String> {
        let mut load_test = fixtures::load_test("test", 0);
        load_test.spec.load = serde_json::from_value(of_load).unwrap();
        let variables = environment(&load_test, &fixtures::pipeline(), 0);
        let of_load =
            ["TAILRACE_LOAD", "TAILRACE_RATE", "TAILRACE_ARRIVALS", "TAILRACE_OUTSTANDING", "TAILRACE_THINK_TIME"];
        let told = variables.into_iter().filter(|variable| of_load.contains(&variable.name.as_str()));
        told.map(|variable| format!("{}={}", variable.name, variable.value.unwrap())).collect()
    }

    #[test]
    fn every_field_of_the_pod_template_reaches_the_producers() {
        let (_, schema) = pod_templates("loadtests").remove(0);
        for left_out in ["serviceAccountName", "serviceAccountAnnotations"] {
            let mut template = sample(&schema, "mark");
            template.as_object_mut().unwrap().remove(left_out);
            let mut load_test = fixtures::load_test("test", 0);
            load_test.spec.pod_template = Some(serde_json::from_value(template.clone()).unwrap());
            let Permissions { account, role: _, binding } = permissions(&load_test, None);
            let job = job(&load_test, &fixtures::pipeline(), &fixtures::settings(), 0);
            let pod = job.spec.unwrap().template;
            let text = serde_json::to_string(&(&pod, &account)).unwrap();
            let marks = marks(&template, "mark");
            let missing: Vec<_> = marks.iter().filter(|mark| !text.contains(&format!("\"{mark}\""))).collect();
            assert!(missing.is_empty(), "{missing:?} did not reach {text}");

            let runs_under = pod.spec.unwrap().service_account_name;
            assert_eq!(Some(&binding.subjects.unwrap()[0].name), runs_under.as_ref(), "the Role is that of the pod");
            assert_eq!(account.is_some(), runs_under.as_deref() == Some("test-producer"), "others make theirs");
        }
    }

    #[test]
    fn producers_are_told_of_the_whole_load() {
        assert_eq!(
            told(json!({ "open": { "ratePerProducer": 20, "arrivals": "Poisson" } })),
            ["TAILRACE_LOAD=open", "TAILRACE_RATE=20", "TAILRACE_ARRIVALS=poisson"]
        );
        assert_eq!(
            told(json!({ "closed": { "outstanding": 4, "thinkTime": "100ms" } })),
            ["TAILRACE_LOAD=closed", "TAILRACE_OUTSTANDING=4", "TAILRACE_THINK_TIME=100ms"]
        );
    }
}
