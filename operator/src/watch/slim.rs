//! What is taken away from objects before they are kept: thousands of tests that are over must fit.

use k8s_openapi::api::{
    apps::v1::ReplicaSet,
    batch::v1::Job,
    core::v1::{Container, Pod, PodSpec},
};
use kube::Resource;
use tailrace_crds::{
    LoadTest, ProducerReport,
    conditions::types,
    load_test::{LoadTestStatus, Stages, TestResult},
};
use tailrace_measure::producer_result::{ProducerIntervals, ProducerResult};

/// What kubectl keeps of an object in the object itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The conditions by which the end of a test is judged.
const OF_THE_END: [&str; 4] = [types::FINISHED, types::SUCCEEDED, types::RESULTS_VALID, types::SLOS_MET];

/// All but the metadata.
pub fn replica_set(set: &mut ReplicaSet) {
    metadata(set);
    set.spec = None;
    set.status = None;
}

/// Who manages which field.
pub fn metadata<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
    if let Some(annotations) = &mut object.meta_mut().annotations {
        annotations.remove(LAST_APPLIED);
    }
}

/// Of a test that is over, what neither an Experiment nor a comparison looks at.
pub fn load_test(test: &mut LoadTest) {
    metadata(test);
    let Some(mut status) = test.status.take() else { return };
    test.status = Some(if status.phase.is_final() {
        status.conditions.retain(|condition| OF_THE_END.contains(&condition.type_.as_str()));
        let result = TestResult {
            confidence_micros: None,
            service_latency_micros: None,
            stages_micros: None,
            comparison: None,
            environment: None,
            ..status.result
        };
        LoadTestStatus { pipeline_at_start: None, display: None, result, ..status }
    } else {
        status
    });
}

/// The numbers of a result, which is read again when all of a test are there. Of a producer whose result is a part of
/// that of its test, how it went.
pub fn report(report: &mut ProducerReport) {
    metadata(report);
    if let Some(status) = report.status.as_mut().filter(|status| status.summed)
        && let Some(progress) = &mut status.progress
    {
        progress.recent_latency = String::new();
    }
    if let Some(result) = report.status.as_mut().and_then(|status| status.result.as_mut()) {
        *result = ProducerResult {
            latency: String::new(),
            service_latency: String::new(),
            send_delay: String::new(),
            stages: Stages::default(),
            intervals: ProducerIntervals { seconds: 1, ..ProducerIntervals::default() },
            client_settings: Default::default(),
            messages: result.messages,
            warmup_messages: result.warmup_messages,
            ..*result
        };
    }
}

/// How a pod is started and looked after.
pub fn pod(pod: &mut Pod) {
    metadata(pod);
    pod.spec = pod.spec.take().map(of_pod);
}

/// The same of the pods that a Job makes. What a Job should be is never compared with what it is.
pub fn job(job: &mut Job) {
    metadata(job);
    if let Some(spec) = &mut job.spec {
        spec.template.metadata = None;
        spec.template.spec = spec.template.spec.take().map(of_pod);
    }
}

/// Where it runs, from which images and with how much.
fn of_pod(spec: PodSpec) -> PodSpec {
    let of_container = |container: Container| Container {
        name: container.name,
        image: container.image,
        resources: container.resources,
        restart_policy: container.restart_policy,
        ..Container::default()
    };
    let containers = spec.containers.into_iter().map(of_container).collect();
    PodSpec { containers, node_name: spec.node_name, ..PodSpec::default() }
}
