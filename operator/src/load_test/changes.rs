//! Whether a Pipeline was the same at the end of a test as at its start.

use k8s_openapi::api::core::v1::ContainerStatus;
use kube::ResourceExt;
use tailrace_crds::load_test::PipelineAtStart;

use super::observation::{Observation, pipeline_now};

/// What has changed since the common start, in one sentence.
pub fn since_start(seen: &Observation) -> Option<String> {
    let start = seen.status().pipeline_at_start?;
    let now = pipeline_now(seen).unwrap_or_default();
    let change = revision_changed(&start, &now).or_else(|| {
        let (change, pod) = pod_changed(&start, &now)?;
        Some(change + &cause(seen, &pod).map(|cause| format!(" ({cause})")).unwrap_or_default())
    })?;
    Some(format!("{change} during the run, so the numbers are of no one Pipeline: measure again"))
}

fn revision_changed(start: &PipelineAtStart, now: &PipelineAtStart) -> Option<String> {
    let changed = start.revision != now.revision;
    changed.then(|| "a change of the Pipeline's spec or of its images was applied".to_owned())
}

/// What the kubelet says of a pod that did not go on: that it was evicted, or how its container ended before.
fn cause(seen: &Observation, pod: &str) -> Option<String> {
    let status = seen.pods.iter().find(|found| found.name_any() == pod)?.status.as_ref()?;
    let ended = |container: &ContainerStatus| container.last_state.as_ref()?.terminated.as_ref()?.reason.clone();
    let evicted = status.reason.as_ref().map(|reason| match &status.message {
        Some(message) => format!("{reason}: {message}"),
        None => reason.clone(),
    });
    evicted.or_else(|| status.container_statuses.iter().flatten().find_map(ended))
}

/// The first change, and the name of its pod.
fn pod_changed(start: &PipelineAtStart, now: &PipelineAtStart) -> Option<(String, String)> {
    let change = |name: &String, what: &str| Some((format!("pod {name} {what}"), name.clone()));
    let gone = start.pods.iter().find_map(|(name, before)| match now.pods.get(name) {
        None => change(name, "went away"),
        Some(after) if after.split('/').next() != before.split('/').next() => change(name, "was replaced"),
        Some(after) if after != before => change(name, "was restarted"),
        Some(_) => None,
    });
    gone.or_else(|| change(now.pods.keys().find(|name| !start.pods.contains_key(*name))?, "was added"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::load_test::fixtures::new_test;

    fn pipeline(revision: &str, pods: &[(&str, &str)]) -> PipelineAtStart {
        let pods = pods.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect();
        PipelineAtStart { revision: revision.to_owned(), pods }
    }

    fn change(now: &PipelineAtStart) -> Option<String> {
        let start = pipeline("1", &[("kafka-0", "a/0"), ("inference-x", "b/2")]);
        revision_changed(&start, now).or_else(|| Some(pod_changed(&start, now)?.0))
    }

    #[test]
    fn each_change_is_named() {
        let kafka = ("kafka-0", "a/0");
        let cases = [
            (
                pipeline("2", &[kafka, ("inference-x", "b/2")]),
                "a change of the Pipeline's spec or of its images was applied",
            ),
            (pipeline("1", &[kafka, ("inference-x", "b/3")]), "pod inference-x was restarted"),
            (pipeline("1", &[("kafka-0", "c/0"), ("inference-x", "b/2")]), "pod kafka-0 was replaced"),
            (pipeline("1", &[kafka]), "pod inference-x went away"),
            (pipeline("1", &[kafka, ("inference-x", "b/2"), ("inference-y", "d/0")]), "pod inference-y was added"),
        ];
        for (now, sentence) in cases {
            assert_eq!(change(&now).as_deref(), Some(sentence));
        }
        assert_eq!(change(&pipeline("1", &[kafka, ("inference-x", "b/2")])), None);
    }

    #[test]
    fn the_kubelet_says_why_a_pod_did_not_go_on() {
        let pod = |status: serde_json::Value| {
            let pod = json!({ "metadata": { "name": "cifar-inference-a", "uid": "1" }, "status": status });
            new_test().with_pipeline().with_pod_of_pipeline(pod)
        };
        let container = |count, last: serde_json::Value| {
            json!({ "phase": "Running", "containerStatuses": [{
                "name": "inference", "image": "", "imageID": "", "ready": true, "restartCount": count, "lastState": last,
            }] })
        };
        let start = pod(container(0, json!({})));
        let killed = container(1, json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } }));
        let evicted = json!({ "phase": "Failed", "reason": "Evicted", "message": "The node was low on memory." });
        for (status, sentence) in [
            (killed, "pod cifar-inference-a was restarted (OOMKilled) during the run"),
            (evicted, "pod cifar-inference-a went away (Evicted: The node was low on memory.) during the run"),
        ] {
            let mut now = pod(status);
            now.load_test.status.get_or_insert_default().pipeline_at_start = pipeline_now(&start);
            assert!(since_start(&now).unwrap().starts_with(sentence), "{:?}", since_start(&now));
        }
    }
}
