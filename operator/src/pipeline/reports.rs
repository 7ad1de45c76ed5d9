//! What the workers of a Pipeline say of themselves in its status, and what follows from it. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tailrace_crds::{
    Pipeline,
    pipeline::{VolumeUse, WorkerStatus},
};

use super::observe::Observed;
use crate::{labels::Component, pods::Trouble};

/// What workers say before and after their work, which is nobody's trouble.
const CALM: [&str; 3] = ["Ready", "Starting", "Stopping"];
/// What another topics Job can mend.
const MENDED_BY_TOPICS_JOB: [&str; 2] = ["TopicMissing", "TooFewPartitions"];
/// What is wrong with a topic and stays so until somebody changes it.
const UNREADABLE: &str = "UnsupportedCodec";
/// How long workers may take to see that the topics are there again.
const SIGHT: SignedDuration = SignedDuration::from_secs(60);
/// How long a gap is worth a condition.
const GAP: SignedDuration = SignedDuration::from_hours(1);
/// How old the entry of a pod is that is not there at least: one that is newer may be that of a pod not seen yet.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(5);

/// The entries of pods that are there, by the name of the pod.
pub fn current(pipeline: &Pipeline, pods: &[Pod]) -> Vec<WorkerStatus> {
    let workers = pipeline.status.iter().flat_map(|status| &status.workers);
    let is_there = |name: &str| pods.iter().any(|pod| pod.name_any() == name);
    workers.filter(|(name, _)| is_there(name)).map(|(_, worker)| worker.clone()).collect()
}

/// The names of pods that are not there any more and have an entry.
pub fn forgotten(pipeline: &Pipeline, pods: &[Pod], now: Timestamp) -> Vec<String> {
    let workers = pipeline.status.iter().flat_map(|status| &status.workers);
    let is_there = |name: &str| pods.iter().any(|pod| pod.name_any() == name);
    let gone = workers.filter(|(name, worker)| !is_there(name) && worker.since.0 + FORGOTTEN <= now);
    gone.map(|(name, _)| name.clone()).collect()
}

/// Records that Kafka deleted before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How many, since the pods that are there have started.
    pub records: i64,
    /// When the last of them was noticed.
    pub last: Timestamp,
}

impl Gap {
    /// Whether it is old.
    pub fn is_old(&self, now: Timestamp) -> bool {
        self.last + GAP <= now
    }
}

impl Observed {
    /// Why a worker of `component` cannot do its work, in its own words.
    pub fn complaint_of_worker(&self, component: Component) -> Option<Trouble> {
        let of_component = self.workers.iter().filter(|worker| worker.component == component.as_str());
        let complaint = of_component.filter(|worker| !worker.ready).find(|w| !CALM.contains(&w.reason.as_str()))?;
        Some(Trouble { reason: complaint.reason.clone(), message: complaint.message.clone() })
    }

    /// What a worker misses of the topics since `made`, when the topics Job had made them.
    pub fn missed_topics(&self, made: Timestamp, now: Timestamp) -> Option<&WorkerStatus> {
        self.missing_topic().filter(|worker| worker.since.0 > made || made + SIGHT <= now)
    }

    /// What a worker misses of the topics, since whenever.
    pub fn missing_topic(&self) -> Option<&WorkerStatus> {
        self.workers.iter().find(|worker| MENDED_BY_TOPICS_JOB.contains(&worker.reason.as_str()))
    }

    /// A topic that a worker cannot read.
    pub fn unreadable_topic(&self) -> Option<&WorkerStatus> {
        self.workers.iter().find(|worker| worker.reason == UNREADABLE)
    }

    /// How full the volume of a server is: of several workers that say it, as the one says that found it fullest.
    pub fn use_of_volume(&self, component: Component) -> Option<&VolumeUse> {
        let told = self.workers.iter().filter_map(|worker| worker.volumes.get(component.as_str()));
        told.max_by_key(|volume| volume.used_bytes)
    }

    /// What Kafka deleted before it was read.
    pub fn gap(&self) -> Option<Gap> {
        let skipped = || self.workers.iter().filter_map(|worker| worker.skipped.as_ref());
        let last = skipped().map(|skipped| skipped.last_time.0).max()?;
        Some(Gap { records: skipped().map(|skipped| skipped.records).sum(), last })
    }
}

/// How long until what is said here changes by itself, at most.
pub fn look_again(observed: &Observed) -> Option<Duration> {
    observed.missing_topic().map(|_| Duration::try_from(SIGHT).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-01-01T{time}Z").parse().unwrap()
    }

    fn pipeline(workers: &Value) -> Pipeline {
        serde_json::from_value(json!({
            "apiVersion": "tailrace.dev/v1alpha1", "kind": "Pipeline", "metadata": { "name": "cifar" }, "spec": {},
            "status": { "workers": workers },
        }))
        .unwrap()
    }

    fn worker(component: &str, reason: &str, since: &str) -> Value {
        json!({ "component": component, "ready": reason == "Ready", "reason": reason, "message": "a sentence",
                "since": at(since) })
    }

    fn pod(name: &str) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap()
    }

    fn observed(workers: &[Value]) -> Observed {
        let workers = workers.iter().map(|worker| serde_json::from_value(worker.clone()).unwrap()).collect();
        Observed { workers, ..Observed::default() }
    }

    #[test]
    fn only_pods_that_are_there_count_and_the_others_are_forgotten_in_time() {
        let pipeline = pipeline(&json!({
            "here": worker("archive", "Ready", "12:00:00"),
            "gone": worker("archive", "DatabaseAway", "12:00:00"),
            "unseen": worker("archive", "Starting", "12:09:00"),
        }));
        let pods = [pod("here"), pod("other")];
        assert_eq!(current(&pipeline, &pods).len(), 1);
        assert_eq!(forgotten(&pipeline, &pods, at("12:10:00")), ["gone"]);
    }

    #[test]
    fn a_start_is_no_complaint_and_a_missing_topic_is_one() {
        let complaint = |reason| observed(&[worker("inference", reason, "12:00:00")]);
        for calm in CALM {
            assert_eq!(complaint(calm).complaint_of_worker(Component::Inference), None, "{calm}");
        }
        let missing = complaint("TopicMissing");
        assert_eq!(missing.complaint_of_worker(Component::Inference).unwrap().message, "a sentence");
        assert_eq!(missing.complaint_of_worker(Component::Archive), None);
    }

    #[test]
    fn the_topics_are_made_again_for_what_came_after_them_or_does_not_pass() {
        let seen = observed(&[worker("inference", "TopicMissing", "12:00:00")]);
        let misses = |made, now| seen.missed_topics(at(made), at(now)).is_some();
        assert!(misses("11:00:00", "12:00:01"), "it came after they were made");
        assert!(!misses("12:00:30", "12:00:40"), "the worker has not looked since");
        assert!(misses("12:00:30", "12:01:30"), "it has, and misses them still");
        let no_broker = observed(&[worker("inference", "NoBroker", "12:00:00")]);
        assert!(no_broker.missed_topics(at("11:00:00"), at("13:00:00")).is_none());
    }

    #[test]
    fn gaps_of_all_workers_are_one() {
        let skipping = |component, records, last: &str| {
            let mut worker = worker(component, "Ready", "12:00:00");
            worker["skipped"] = json!({ "records": records, "lastTime": at(last) });
            worker
        };
        let gap = observed(&[skipping("inference", 4, "12:10:00"), skipping("archive", 3, "12:05:00")]).gap().unwrap();
        assert_eq!(gap, Gap { records: 7, last: at("12:10:00") });
        assert!(!gap.is_old(at("13:09:59")) && gap.is_old(at("13:10:00")));
        assert_eq!(observed(&[worker("archive", "Ready", "12:00:00")]).gap(), None);
    }
}
