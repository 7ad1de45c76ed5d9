//! Producers that were started before and are still around: those of other tests, deleted or finished, and those of an
//! earlier start of this one.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{Resource, ResourceExt};
use tailrace_crds::{conditions::warnings, load_test::Warning};

use super::observation::{Observation, is_made_for_a_test, is_producer, job_is_over, pod_is_over};
use crate::ownership::{controller_of, is_owned_by};

/// How much later than it should be gone an object is counted as gone. A kubelet that answers needs a second or two.
const LOST_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// What the node controller writes into the status of a pod whose node does not answer.
const NODE_LOST: &str = "NodeLost";

/// Producers that were started before and are still around.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Those that may still send, each named once: by its Job or, if that is gone, by its pod.
    pub running: BTreeSet<String>,
    /// The pods that count as gone, since their node does not answer, with their nodes.
    pub lost: Vec<(String, String)>,
}

impl Leftovers {
    /// What should be known of a result that was measured although these pods may have run.
    pub fn warnings(&self) -> Vec<Warning> {
        let warning = |(pod, node): &(String, String)| Warning {
            reason: warnings::NODE_LOST.into(),
            message: format!(
                "pod {pod} of another test should have ended before, and node {node} does not say that it has: if it \
                 still runs, it sends images too"
            ),
        };
        self.lost.iter().map(warning).collect()
    }
}

/// The producers beside those that this test has now.
pub fn leftovers(seen: &Observation) -> Leftovers {
    let own = |pod: &Pod| seen.jobs.iter().any(|job| is_current(job, seen) && is_owned_by(pod, job));
    let pods =
        seen.pods.iter().filter(|pod| is_producer(pod) && job_of(pod).is_some() && !own(pod) && !pod_is_over(pod));
    let (lost, running): (Vec<_>, Vec<_>) = pods.partition(|pod| is_lost(pod, seen));
    let has_pods = |job: &Job| seen.pods.iter().any(|pod| is_owned_by(pod, job) && !pod_is_over(pod));
    // One that has pods is as long around as these; one that has none yet may still make them.
    let jobs = seen.jobs.iter().filter(|job| !is_current(job, seen) && !job_is_over(job) && !has_pods(job));
    let jobs = jobs.filter(|job| is_made_for_a_test(job));
    let jobs = jobs.filter(|job| overdue(job.meta(), seen).is_none_or(|overdue| overdue <= LOST_AFTER));
    let node = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    Leftovers {
        running: running.into_iter().map(producer_of).chain(jobs.map(ResourceExt::name_any)).collect(),
        lost: lost.into_iter().map(|pod| (pod.name_any(), node(pod).unwrap_or_else(|| "unknown".into()))).collect(),
    }
}

/// Whether it is a Job of this test, which is not on its way out: another start makes others.
fn is_current(job: &Job, seen: &Observation) -> bool {
    is_owned_by(job, &seen.load_test) && job.metadata.deletion_timestamp.is_none()
}

/// The name of the Job that a pod belongs to, or else its own.
fn producer_of(pod: &Pod) -> String {
    job_of(pod).map_or_else(|| pod.name_any(), |job| job.name.clone())
}

/// The Job that a pod is of. One without may bear the labels of a producer, and sends nothing for a test.
fn job_of(pod: &Pod) -> Option<&OwnerReference> {
    controller_of(pod).filter(|controller| controller.kind == "Job")
}

fn is_lost(pod: &Pod, seen: &Observation) -> bool {
    let reason = pod.status.as_ref().and_then(|status| status.reason.as_deref());
    let patience = if reason == Some(NODE_LOST) { SignedDuration::ZERO } else { LOST_AFTER };
    overdue(&pod.metadata, seen).is_some_and(|overdue| overdue > patience)
}

/// How long ago an object that is being deleted should have been gone: its time of deletion includes its grace.
fn overdue(metadata: &ObjectMeta, seen: &Observation) -> Option<SignedDuration> {
    Some(seen.now.duration_since(metadata.deletion_timestamp.as_ref()?.0))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;
    use crate::load_test::fixtures::{begin, new_test};

    /// Two producers of another test, each with a pod on a node of its own.
    fn of_another_test() -> Observation {
        let running = json!({ "phase": "Running" });
        let mut seen = new_test().with_pipeline().with_producers();
        seen = seen.with_pod(0, running.clone()).with_pod(1, running);
        for (index, job) in seen.jobs.iter_mut().enumerate() {
            job.metadata.name = Some(format!("other-producer-{index}"));
            job.metadata.owner_references.as_mut().unwrap()[0].uid = "uid-of-another-test".into();
        }
        for (index, pod) in seen.pods.iter_mut().enumerate() {
            pod.metadata.owner_references.as_mut().unwrap()[0].name = format!("other-producer-{index}");
            pod.spec.get_or_insert_default().node_name = Some(format!("node{index}"));
        }
        Observation { reports: vec![], ..seen }
    }

    fn seconds_ago(seconds: i64) -> Option<Time> {
        Some(Time(begin() - SignedDuration::from_secs(seconds)))
    }

    fn running(seen: &Observation) -> Vec<String> {
        leftovers(seen).running.into_iter().collect()
    }

    #[test]
    fn a_producer_is_counted_once_though_it_is_a_job_and_a_pod() {
        let mut seen = of_another_test();
        assert_eq!(running(&seen), ["other-producer-0", "other-producer-1"]);
        seen.jobs.clear();
        assert_eq!(running(&seen), ["other-producer-0", "other-producer-1"], "the Jobs are gone before their pods");
        seen.pods.clear();
        assert_eq!(leftovers(&seen), Leftovers::default());
    }

    #[test]
    fn a_job_that_has_no_pod_yet_may_make_one() {
        let mut seen = of_another_test();
        seen.pods.clear();
        assert_eq!(running(&seen).len(), 2);
        seen.jobs[0].metadata.deletion_timestamp = seconds_ago(31);
        assert_eq!(running(&seen), ["other-producer-1"]);
    }

    #[test]
    fn a_pod_that_should_be_gone_for_half_a_minute_is_and_is_warned_of() {
        let cases: [(Option<Time>, &str, bool); 5] = [
            (None, "", false),
            (seconds_ago(-2), "", false),
            (seconds_ago(30), "", false),
            (seconds_ago(31), "", true),
            (seconds_ago(1), "NodeLost", true),
        ];
        for (deletion, reason, lost) in cases {
            let mut seen = of_another_test();
            seen.pods[1].metadata.deletion_timestamp = deletion.clone();
            seen.pods[1].status.as_mut().unwrap().reason = Some(reason.into());
            let left = leftovers(&seen);
            assert_eq!(left.running.contains("other-producer-1"), !lost, "{deletion:?} {reason}");
            assert!(left.running.contains("other-producer-0"));
            let warnings: Vec<_> = left.warnings().into_iter().map(|warning| warning.message).collect();
            assert_eq!(warnings.len(), usize::from(lost));
            let named = |warning: &String| warning.contains("pod test-producer-1-x") && warning.contains("node1");
            assert!(warnings.iter().all(named), "{warnings:?}");
        }
    }

    #[test]
    fn producers_of_this_test_are_no_leftovers_until_they_are_on_their_way_out() {
        let mut seen = new_test().with_pipeline().with_producers().with_pod(0, json!({ "phase": "Running" }));
        assert!(running(&seen).is_empty());
        seen.jobs[0].metadata.deletion_timestamp = Some(Time(begin()));
        assert_eq!(running(&seen), ["test-producer-0"]);
    }
}
