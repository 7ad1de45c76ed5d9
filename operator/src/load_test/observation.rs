//! What the API server holds about one LoadTest, at one moment.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use tailrace_crds::{
    LoadTest, Pipeline, ProducerReport,
    conditions::types,
    load_test::{LoadTestStatus, Phase, PipelineAtStart},
};
use tailrace_measure::intervals::Files;

use crate::{
    conditions::is_true,
    labels::{self, Component},
    ownership::{Controllers, Taken, controller_of, is_owned_by},
    pods::Trouble,
};

/// What the API server holds about one LoadTest, at one moment. All decisions are made from this alone.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The test itself.
    pub load_test: LoadTest,
    /// Its Pipeline, if it exists.
    pub pipeline: Option<Pipeline>,
    /// The other LoadTests of the same Pipeline that are not over.
    pub others: Vec<Arc<LoadTest>>,
    /// The Jobs of all producers of the Pipeline, of other tests too.
    pub jobs: Vec<Job>,
    /// All pods that bear the label of the Pipeline: its own, those of producers, and others.
    pub pods: Vec<Pod>,
    /// By whose controllers it is known which of these are the Pipeline's own.
    pub controllers: Controllers,
    /// A Job or report of somebody else that has the name of one of this test.
    pub taken: Option<Taken>,
    /// The test that this one is compared with, if there is to be one.
    pub baseline: Option<Baseline>,
    /// What only events say: why the pod of a producer could not be made, or waits, by the name of its Job.
    pub refusals: BTreeMap<String, Trouble>,
    /// The reports that this test owns. They are read after Jobs and pods: a producer reports before it ends.
    pub reports: Vec<ProducerReport>,
    /// What is there and cannot be read.
    pub unreadable: Unreadable,
    /// The time.
    pub now: Timestamp,
}

/// What is there and cannot be read, with the reasons.
#[derive(Clone, Debug, Default)]
pub struct Unreadable {
    /// The Pipeline.
    pub pipeline: Option<String>,
    /// Reports, by name.
    pub reports: BTreeMap<String, String>,
}

/// The test that another one is compared with.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// Its name.
    pub name: String,
    /// It, if it exists.
    pub test: Option<LoadTest>,
    /// Whether it waits for this test in turn, which would be for ever.
    pub waits_for_this: bool,
    /// Its measurement second by second, if there is one. It is read as soon as all producers have reported.
    pub files: Option<Files>,
}

/// Why nothing can be compared with a baseline, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It is only a matter of time until it is over.
    Unfinished(String),
    /// It may still be created.
    Missing(String),
    /// Waiting does not help.
    Never(String),
}

impl Baseline {
    /// What keeps it from being compared with.
    pub fn unusable(&self) -> Option<Unusable> {
        let Self { name, test, waits_for_this, .. } = self;
        let baseline = format!("the baseline, LoadTest \"{name}\",");
        let never = |why: &str| Some(Unusable::Never(format!("{baseline} {why}: name another one")));
        let Some(test) = test.as_ref().filter(|test| test.metadata.deletion_timestamp.is_none()) else {
            return Some(Unusable::Missing(format!("{baseline} does not exist in this namespace")));
        };
        if *waits_for_this {
            return never("waits for this one");
        }
        let status = test.status.clone().unwrap_or_default();
        if !status.phase.is_final() {
            return Some(Unusable::Unfinished(format!("{baseline} has not finished")));
        }
        if !is_true(&status.conditions, types::RESULTS_VALID) || status.histograms.is_none() {
            return never("has no valid result");
        }
        if test.lost_its_histograms() {
            return never("has no histograms any more, since its Experiment keeps those of its newest LoadTests alone");
        }
        None
    }
}

/// Whether `load_test` is found by going from baseline to baseline, each of which `find` finds by its name.
pub fn waits_for_itself(load_test: &LoadTest, find: impl Fn(&str) -> Option<Arc<LoadTest>>) -> bool {
    let baseline = |test: &LoadTest| test.spec.baseline_ref.as_ref().map(|reference| reference.name.clone());
    let mut next = baseline(load_test);
    let mut seen = HashSet::new();
    while let Some(name) = next {
        if name == load_test.name_any() {
            return true;
        }
        let unfinished = find(&name).filter(|test| !is_finished(test));
        next = unfinished.and_then(|test| baseline(&test));
        // A circle without this test in it ends here, too.
        if !seen.insert(name) {
            return false;
        }
    }
    false
}

/// What of the Pipeline must stay as it is during a test: what was applied, and its pods. None if the Pipeline is gone.
pub fn pipeline_now(seen: &Observation) -> Option<PipelineAtStart> {
    let status = seen.pipeline.as_ref()?.status.as_ref();
    let revision = status.and_then(|status| status.revision.clone()).unwrap_or_default();
    let running = seen.pods_of_pipeline().filter(|pod| !pod_is_over(pod));
    let pods = running.map(|pod| {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let restarts: i32 = statuses.map(|container| container.restart_count).sum();
        (pod.name_any(), format!("{}/{restarts}", pod.uid().unwrap_or_default()))
    });
    Some(PipelineAtStart { revision, pods: pods.collect() })
}

impl Observation {
    /// The status as it was read, or that of a test that nobody has looked at.
    pub fn status(&self) -> LoadTestStatus {
        self.load_test.status.clone().unwrap_or_default()
    }

    /// The report of one producer.
    pub fn report(&self, index: i32) -> Option<&ProducerReport> {
        self.reports.iter().find(|report| report.spec.index == index)
    }

    /// The Job of one producer of this test; one that an earlier test of the same name left behind does not count.
    pub fn job(&self, index: i32) -> Option<&Job> {
        let name = producer_name(&self.load_test, index);
        self.jobs.iter().find(|job| job.name_any() == name && is_owned_by(*job, &self.load_test))
    }

    /// The pods of a Job.
    pub fn pods_of<'a>(&'a self, job: &'a Job) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |pod| is_owned_by(*pod, job))
    }

    /// The pods of the Pipeline that stay, by the controllers above them: not those of its Jobs, which come and go, nor
    /// any that only bear its labels.
    pub fn pods_of_pipeline(&self) -> impl Iterator<Item = &Pod> {
        let pipeline = self.pipeline.as_ref();
        let ours = move |pod: &&Pod| pipeline.is_some_and(|pipeline| self.controllers.lead_to(*pod, pipeline));
        self.pods.iter().filter(ours)
    }

    /// How long ago that was; zero if it is still to come.
    pub fn since(&self, then: Timestamp) -> Duration {
        self.now.duration_since(then).try_into().unwrap_or_default()
    }
}

/// The name of the Job and of the report of one producer.
pub fn producer_name(load_test: &LoadTest, index: i32) -> String {
    format!("{}-producer-{index}", load_test.name_any())
}

/// Whether the test is over.
pub fn is_finished(load_test: &LoadTest) -> bool {
    load_test.status.as_ref().map_or(Phase::default(), |status| status.phase).is_final()
}

/// Whether a Job is that of a LoadTest, or was left by one.
pub(super) fn is_made_for_a_test(job: &Job) -> bool {
    controller_of(job).is_none_or(|controller| controller.kind == "LoadTest")
        && job.labels().get(labels::MANAGED_BY).is_some_and(|manager| manager == labels::OPERATOR)
}

/// Whether a pod is that of a producer.
pub fn is_producer(pod: &Pod) -> bool {
    pod.labels().get(labels::COMPONENT).is_some_and(|component| component == Component::Producer.as_str())
}

/// Whether the containers of a pod have ended for good.
pub fn pod_is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether a Job has no pod any more and makes no new one.
pub fn job_is_over(job: &Job) -> bool {
    job_condition(job, "Complete").is_some() || job_condition(job, "Failed").is_some()
}

/// The condition of a Job, if it holds, as its reason and message.
pub fn job_condition(job: &Job, type_: &str) -> Option<String> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True")?;
    let parts = [condition.reason.as_deref(), condition.message.as_deref()];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join(": "))
}
