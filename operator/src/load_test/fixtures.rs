//! Observations for unit tests, put together like sentences.

use std::{collections::BTreeMap, time::Duration};

use clap::Parser;
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobCondition, JobStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
};
use kube::Resource;
use serde_json::json;
use tailrace_crds::{LoadTest, Pipeline, ProducerReport, pipeline::ActiveLoadTest};
use tailrace_measure::{
    accounting::{Backlog, Counts, Stages},
    histogram::LatencyHistogram,
    producer_result::{ProducerIntervals, ProducerResult},
    signed::signed,
};

use super::{
    build,
    decide::Decision,
    observation::{Observation, Unreadable},
};
use crate::{ownership::Controllers, settings::Settings};

/// The time at which every test begins.
pub fn begin() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// A LoadTest of two producers on the Pipeline `cifar`, made so many seconds after the beginning.
pub fn load_test(name: &str, created: u64) -> LoadTest {
    let mut test: LoadTest = serde_json::from_value(json!({
        "apiVersion": "tailrace.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": { "name": name, "namespace": "default", "uid": format!("uid-of-{name}"), "generation": 1 },
        "spec": {
            "pipelineRef": { "name": "cifar" }, "producers": 2, "load": { "closed": {} },
            "warmup": "5s", "duration": "20s", "drainTimeout": "10s", "startTimeout": "60s", "readyTimeout": "30s",
        },
    }))
    .unwrap();
    test.meta_mut().creation_timestamp = Some(Time(begin() + Duration::from_secs(created)));
    test
}

/// The Pipeline `cifar`, ready.
pub fn pipeline() -> Pipeline {
    serde_json::from_value(json!({
        "apiVersion": "tailrace.dev/v1alpha1",
        "kind": "Pipeline",
        "metadata": { "name": "cifar", "namespace": "default", "uid": "uid-of-cifar", "generation": 3 },
        "spec": {},
        "status": {
            "observedGeneration": 3,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Checked", "message": "", "lastTransitionTime": begin(),
            }],
            "kafka": { "bootstrapServers": "cifar-kafka:9092" },
        },
    }))
    .unwrap()
}

/// What the chart gives, in short.
pub fn settings() -> Settings {
    Settings::parse_from([
        "tailrace-operator",
        "--worker-image=worker:1",
        "--kafka-image=kafka:1",
        "--mongodb-image=mongo:1",
        "--ferretdb-image=ferretdb:1",
        "--pod-name=operator-0",
        "--pod-namespace=default",
    ])
}

/// A LoadTest that nobody has looked at; its Pipeline does not exist.
pub fn new_test() -> Observation {
    Observation {
        load_test: load_test("test", 10),
        pipeline: None,
        others: vec![],
        jobs: vec![],
        pods: vec![],
        controllers: Controllers::default(),
        taken: None,
        baseline: None,
        refusals: BTreeMap::new(),
        reports: vec![],
        unreadable: Unreadable::default(),
        now: begin(),
    }
}

impl Observation {
    /// Its Pipeline is there, and ready.
    pub fn with_pipeline(mut self) -> Self {
        self.pipeline = Some(pipeline());
        self
    }

    /// So much later, with the status that was decided.
    pub fn after(mut self, seconds: f64, decision: &Decision) -> Self {
        self.load_test.status = Some(decision.status.clone());
        self.later(seconds)
    }

    /// So much later.
    pub fn later(mut self, seconds: f64) -> Self {
        self.now += Duration::from_secs_f64(seconds);
        self
    }

    /// The Pipeline is this test's.
    pub fn with_lock(mut self) -> Self {
        let active = ActiveLoadTest { name: "test".into(), uid: "uid-of-test".into() };
        self.pipeline.as_mut().unwrap().status.as_mut().unwrap().active_load_test = Some(active);
        self
    }

    /// Reports and Jobs were made.
    pub fn with_producers(mut self) -> Self {
        let pipeline = self.pipeline.clone().unwrap();
        for index in 0..self.load_test.spec.producers {
            self.reports.push(build::report(&self.load_test, index));
            let mut job = build::job(&self.load_test, &pipeline, &settings(), index);
            job.metadata.uid = Some(format!("uid-of-job-{index}"));
            self.jobs.push(job);
        }
        self
    }

    /// One producer is ready.
    pub fn with_ready(mut self, index: usize) -> Self {
        let status = self.report_mut(index).status.get_or_insert_default();
        status.pod_uid = Some(format!("uid-of-pod-{index}"));
        status.ready_at = Some(MicroTime(begin()));
        self
    }

    /// One producer has reported so many images of 2 ms.
    pub fn with_result(mut self, index: usize, images: u64) -> Self {
        self.report_mut(index).status.get_or_insert_default().result = Some(result(images));
        self
    }

    /// The pod of one producer is in that state.
    pub fn with_pod(mut self, index: usize, status: serde_json::Value) -> Self {
        let mut pod = Pod::default();
        pod.metadata.name = Some(format!("test-producer-{index}-x"));
        pod.metadata.labels = self.jobs[index].metadata.labels.clone();
        pod.metadata.owner_references = self.jobs[index].controller_owner_ref(&()).map(|owner| vec![owner]);
        pod.status = serde_json::from_value(status).unwrap();
        self.pods.push(pod);
        self
    }

    /// There is a pod like this whose controllers lead to the Pipeline.
    pub fn with_pod_of_pipeline(mut self, pod: serde_json::Value) -> Self {
        let mut pod: Pod = serde_json::from_value(pod).unwrap();
        pod.metadata.owner_references =
            self.pipeline.as_ref().unwrap().controller_owner_ref(&()).map(|owner| vec![owner]);
        self.pods.push(pod);
        self
    }

    /// The Job of one producer has that condition.
    pub fn with_job_condition(mut self, index: usize, type_: &str, reason: &str) -> Self {
        let condition = JobCondition {
            type_: type_.into(),
            status: "True".into(),
            reason: Some(reason.into()),
            ..JobCondition::default()
        };
        self.job_mut(index).status = Some(JobStatus { conditions: Some(vec![condition]), ..JobStatus::default() });
        self
    }

    /// The report of one producer.
    pub fn report_mut(&mut self, index: usize) -> &mut ProducerReport {
        &mut self.reports[index]
    }

    /// The Job of one producer.
    pub fn job_mut(&mut self, index: usize) -> &mut Job {
        &mut self.jobs[index]
    }
}

fn result(images: u64) -> ProducerResult {
    let count = signed(images);
    let mut latency = LatencyHistogram::new();
    (0..images).for_each(|_| latency.record(2_000).unwrap());
    let latency = latency.encode().unwrap();
    ProducerResult {
        messages: Counts { scheduled: images, sent: images, received: images, ..Counts::default() },
        warmup_messages: Counts::default(),
        backlog: Backlog::default(),
        correct: images,
        compared: images,
        measured_micros: 20_000_000,
        start_delay_micros: 0,
        latency: latency.clone(),
        service_latency: latency.clone(),
        send_delay: latency.clone(),
        stages: Stages::<()>::default().map(|()| latency.clone()),
        intervals: ProducerIntervals {
            seconds: 20,
            scheduled: vec![count],
            answered: vec![count],
            latency: vec![latency],
        },
        throttled_micros: Some(0),
        topic_records: Some(images),
        skipped_records: None,
        foreign_answers: 0,
        client_settings: [("linger.ms".to_owned(), "0".to_owned())].into(),
    }
}
