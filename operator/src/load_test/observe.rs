//! Reads what a decision needs.

use std::{collections::BTreeMap, fmt::Debug};

use futures::future::{try_join, try_join4};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ConfigMap, Pod},
    events::v1::Event,
};
use kube::{Api, Resource, ResourceExt, api::ListParams, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;
use tailrace_crds::{LoadTest, Pipeline, ProducerReport, load_test::Phase};

use super::{
    build,
    observation::{Baseline, Observation, is_finished, is_owned_by, waits_for_itself},
};
use crate::{
    context::Context,
    controllers::now,
    labels::{self, Component},
    writer::{Error, bounded},
};

/// Reads the test and all that belongs to it, or nothing if it is gone. `cached` only says which one.
pub async fn observe(context: &Context, cached: &LoadTest) -> Result<Option<Observation>, Error> {
    let tests = Api::<LoadTest>::namespaced(context.client.clone(), &cached.namespace().unwrap_or_default());
    let Some(load_test) = bounded("read", cached, tests.get_opt(&cached.name_any())).await? else {
        return Ok(None);
    };
    let reader = Reader { context, load_test: &load_test };
    let (mut pipeline, tests, jobs, mut pods) =
        try_join4(reader.pipeline(), reader.tests(), reader.jobs(), reader.pods()).await?;
    let reports = reader.reports().await?;
    let result = |report: &ProducerReport| report.status.as_ref().is_some_and(|status| status.result.is_some());
    let to_be_judged = !is_finished(&load_test) && !reports.is_empty() && reports.iter().all(result);
    if to_be_judged {
        // Whatever had changed by the time of the last report counts.
        (pipeline, pods) = try_join(reader.pipeline(), reader.pods()).await?;
    }
    let baseline = baseline(context, &load_test, &tests, to_be_judged).await?;
    let refusals = refusals(context, &load_test, &jobs, &pods).await?;
    let beside = |other: &LoadTest| {
        other.spec.pipeline_ref == load_test.spec.pipeline_ref && other.metadata.uid != load_test.metadata.uid
    };
    let others = tests.into_iter().filter(beside).collect();
    let now = now();
    Ok(Some(Observation { load_test, pipeline, others, jobs, pods, baseline, refusals, reports, now }))
}

/// Reads what is around a test.
struct Reader<'a> {
    context: &'a Context,
    load_test: &'a LoadTest,
}

impl Reader<'_> {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.context.client.clone(), &self.load_test.namespace().unwrap_or_default())
    }

    async fn list<K>(&self, verb: &'static str, labels: &str) -> Result<Vec<K>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let api = self.api::<K>();
        let labelled = ListParams::default().labels(labels);
        Ok(bounded(verb, self.load_test, api.list(&labelled)).await?.items)
    }

    fn of_pipeline(&self) -> String {
        format!("{}={}", labels::PIPELINE, self.load_test.spec.pipeline_ref.name)
    }

    async fn pipeline(&self) -> Result<Option<Pipeline>, Error> {
        let pipelines = self.api::<Pipeline>();
        let found = pipelines.get_opt(&self.load_test.spec.pipeline_ref.name);
        bounded("read the Pipeline of", self.load_test, found).await
    }

    async fn tests(&self) -> Result<Vec<LoadTest>, Error> {
        self.list("list the tests beside", "").await
    }

    async fn jobs(&self) -> Result<Vec<Job>, Error> {
        let of_producers = format!("{},{}={}", self.of_pipeline(), labels::COMPONENT, Component::Producer.as_str());
        self.list("list the Jobs beside", &of_producers).await
    }

    async fn pods(&self) -> Result<Vec<Pod>, Error> {
        self.list("list the pods beside", &self.of_pipeline()).await
    }

    async fn reports(&self) -> Result<Vec<ProducerReport>, Error> {
        let of_test = format!("{}={}", labels::LOAD_TEST, self.load_test.name_any());
        let mut reports: Vec<ProducerReport> = self.list("list the reports of", &of_test).await?;
        reports.retain(|report| is_owned_by(report, self.load_test));
        Ok(reports)
    }
}

/// The test that this one is compared with, which may be one of another Pipeline. Its measurement is big, so it is read
/// only when there is something to compare.
async fn baseline(
    context: &Context,
    load_test: &LoadTest,
    tests: &[LoadTest],
    with_files: bool,
) -> Result<Option<Baseline>, Error> {
    let Some(reference) = &load_test.spec.baseline_ref else { return Ok(None) };
    let test = tests.iter().find(|test| test.name_any() == reference.name).cloned();
    let histograms = test.as_ref().and_then(|test| test.status.as_ref()?.histograms.clone());
    let mut files = None;
    if let Some(histograms) = histograms.filter(|_| with_files && !is_finished(load_test)) {
        let namespace = load_test.namespace().unwrap_or_default();
        let maps = Api::<ConfigMap>::namespaced(context.client.clone(), &namespace);
        let map = bounded("read the baseline of", load_test, maps.get_opt(&histograms.config_map)).await?;
        files = map.as_ref().and_then(build::files);
    }
    let waits_for_this = waits_for_itself(load_test, tests);
    Ok(Some(Baseline { name: reference.name.clone(), test, waits_for_this, files }))
}

/// Why the Job controller could not make pods, such as a quota: nobody but its events says so. They are asked for only
/// while a Job has no pod.
async fn refusals(
    context: &Context,
    load_test: &LoadTest,
    jobs: &[Job],
    pods: &[Pod],
) -> Result<BTreeMap<String, String>, Error> {
    let starting = load_test.status.as_ref().is_some_and(|status| status.phase == Phase::Starting);
    let without_pod = |job: &&Job| is_owned_by(*job, load_test) && !pods.iter().any(|pod| is_owned_by(pod, *job));
    let mut refusals = BTreeMap::new();
    if let Some(job) = jobs.iter().find(without_pod).filter(|_| starting) {
        let events = Api::<Event>::namespaced(context.client.clone(), &load_test.namespace().unwrap_or_default());
        let of_job = format!("reason=FailedCreate,regarding.kind=Job,regarding.name={}", job.name_any());
        let found =
            bounded("list the events of", load_test, events.list(&ListParams::default().fields(&of_job))).await?;
        let note = found.items.into_iter().rev().find_map(|event| event.note);
        refusals.extend(note.map(|note| (job.name_any(), note)));
    }
    Ok(refusals)
}
