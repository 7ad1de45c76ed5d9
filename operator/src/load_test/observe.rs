//! Reads what a decision needs: from the watches, which may be a moment behind, or from the API server itself.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::{try_join, try_join3};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ConfigMap, Pod},
};
use kube::{Resource, ResourceExt, core::error_boundary::InvalidObject};
use tailrace_crds::{LoadTest, Pipeline, ProducerReport, load_test::Phase};

use super::{
    build,
    observation::{Baseline, Observation, Unreadable, is_finished, job_is_over, producer_name, waits_for_itself},
    queue::holder,
};
use crate::{
    context::Context,
    controllers::now,
    labels::{self, Component},
    logging::trimmed,
    ownership::{Controllers, Taken, is_owned_by, taken},
    pods::Trouble,
    reading, warnings,
    watch::Watched,
    writer::Error,
};

/// What the watches know of the test and all that belongs to it. Of reports it is only known that they have a result.
pub async fn observe_known(context: &Context, load_test: &LoadTest) -> Result<Observation, Error> {
    if is_finished(load_test) {
        return Ok(observe_finished(context, load_test));
    }
    let watches = &context.watches;
    let namespace = load_test.namespace().unwrap_or_default();
    let pipeline = load_test.spec.pipeline_ref.name.as_str();
    let mut around = Around::known(context, load_test);
    let jobs = watches.jobs().of_pipeline(&namespace, pipeline);
    around.jobs = jobs.into_iter().filter(|job| is_of_producer(job)).map(owned).collect();
    around.pods = watches.pods().of_pipeline(&namespace, pipeline).into_iter().map(owned).collect();
    around.controllers = Controllers::known(watches, &namespace, pipeline);
    around.keep_own_reports(load_test);
    let others = others(context, load_test);
    let baseline = baseline(context, load_test);
    complete(context, load_test.clone(), around, others, baseline).await
}

/// Of a test that is over only what may be left of it: there are many of them.
fn observe_finished(context: &Context, load_test: &LoadTest) -> Observation {
    let namespace = load_test.namespace().unwrap_or_default();
    let jobs = (0..load_test.spec.producers)
        .filter_map(|index| context.watches.jobs().get(&namespace, &producer_name(load_test, index)));
    let jobs: Vec<_> = jobs.filter(|job| is_owned_by(job.as_ref(), load_test)).map(owned).collect();
    let pipeline = load_test.spec.pipeline_ref.name.as_str();
    let pods = if jobs.is_empty() { vec![] } else { context.watches.pods().of_pipeline(&namespace, pipeline) };
    let of_them = |pod: &Arc<Pod>| jobs.iter().any(|job| is_owned_by(pod.as_ref(), job));
    let pods = pods.into_iter().filter(of_them).map(owned).collect();
    let mut around = Around::known(context, load_test);
    around.keep_own_reports(load_test);
    let Around { pipeline, reports, unreadable, .. } = around;
    Observation {
        load_test: load_test.clone(),
        pipeline,
        others: vec![],
        pods,
        jobs,
        controllers: Controllers::default(),
        taken: None,
        baseline: None,
        refusals: BTreeMap::new(),
        reports,
        unreadable,
        now: now(),
    }
}

/// What the API server itself holds, or nothing if the test is gone. Whatever starts or ends a test is decided on this.
pub async fn observe(context: &Context, cached: &LoadTest) -> Result<Option<Observation>, Error> {
    let client = &context.client;
    let found = reading::get::<LoadTest>(client, cached, "read", &cached.name_any()).await?;
    let Some(Ok(load_test)) = found else { return Ok(None) };
    let mut around = Around::default();
    let labels = of_pipeline(&load_test);
    let controllers = Controllers::read(client, &load_test, &labels);
    (around.jobs, around.pods, around.controllers) =
        try_join3(jobs(context, &load_test), pods(context, &load_test), controllers).await?;
    reports(context, &load_test, &mut around).await?;
    around.keep_own_reports(&load_test);
    let name = &load_test.spec.pipeline_ref.name;
    match reading::get::<Pipeline>(client, &load_test, "read the Pipeline of", name).await? {
        Some(Ok(pipeline)) => around.pipeline = Some(pipeline),
        Some(Err(invalid)) => around.unreadable.pipeline = Some(trimmed(&invalid.error)),
        None => {}
    }
    let others = with_holder(context, &load_test, around.pipeline.as_ref()).await?;
    let mut baseline = baseline(context, &load_test);
    let result = |report: &ProducerReport| report.status.as_ref().is_some_and(|status| status.result.is_some());
    if !is_finished(&load_test) && !around.reports.is_empty() && around.reports.iter().all(result) {
        // Whatever had changed by the time of the last report counts.
        let controllers = Controllers::read(client, &load_test, &labels);
        (around.pods, around.controllers) = try_join(pods(context, &load_test), controllers).await?;
        if let Some(baseline) = &mut baseline {
            read_measurement(context, &load_test, baseline).await?;
        }
    }
    complete(context, load_test, around, others, baseline).await.map(Some)
}

/// What is around a test.
#[derive(Default)]
struct Around {
    pipeline: Option<Pipeline>,
    jobs: Vec<Job>,
    pods: Vec<Pod>,
    controllers: Controllers,
    reports: Vec<ProducerReport>,
    taken: Option<Taken>,
    unreadable: Unreadable,
}

impl Around {
    /// The Pipeline and the reports as the watches know them.
    fn known(context: &Context, load_test: &LoadTest) -> Self {
        let watches = &context.watches;
        let namespace = load_test.namespace().unwrap_or_default();
        let pipeline = load_test.spec.pipeline_ref.name.as_str();
        let names = || (0..load_test.spec.producers).map(|index| producer_name(load_test, index));
        let reports = names().filter_map(|name| watches.reports().get(&namespace, &name));
        let unreadable = names().filter_map(|name| {
            let why = watches.reports().why_unreadable(&namespace, &name)?;
            Some((name, why))
        });
        Self {
            pipeline: watches.pipelines().get(&namespace, pipeline).map(owned),
            reports: reports.map(owned).collect(),
            unreadable: Unreadable {
                pipeline: watches.pipelines().why_unreadable(&namespace, pipeline),
                reports: unreadable.collect(),
            },
            ..Self::default()
        }
    }

    /// Notes whose the first Job or report is that has the name of one of this test and is not its own, and forgets
    /// such reports.
    fn keep_own_reports(&mut self, load_test: &LoadTest) {
        let owner = load_test.controller_owner_ref(&());
        let names: Vec<_> = (0..load_test.spec.producers).map(|index| producer_name(load_test, index)).collect();
        let jobs = self.jobs.iter().filter(|job| names.contains(&job.name_any()));
        let reports = self.reports.iter().filter(|report| names.contains(&report.name_any()));
        let mut taken_jobs = jobs.filter_map(|job| taken(job, owner.as_ref()));
        self.taken = taken_jobs.next().or_else(|| reports.filter_map(|report| taken(report, owner.as_ref())).next());
        self.reports.retain(|report| is_owned_by(report, load_test));
    }
}

async fn complete(
    context: &Context,
    load_test: LoadTest,
    around: Around,
    others: Vec<Arc<LoadTest>>,
    baseline: Option<Baseline>,
) -> Result<Observation, Error> {
    let Around { pipeline, jobs, pods, controllers, reports, taken, unreadable } = around;
    let refusals = refusals(context, &load_test, &jobs, &pods).await?;
    let now = now();
    Ok(Observation {
        load_test,
        pipeline,
        others,
        jobs,
        pods,
        controllers,
        taken,
        baseline,
        refusals,
        reports,
        unreadable,
        now,
    })
}

fn owned<K: Clone>(object: Arc<K>) -> K {
    Arc::unwrap_or_clone(object)
}

fn is_of_producer(job: &Job) -> bool {
    job.labels().get(labels::COMPONENT).is_some_and(|component| component == Component::Producer.as_str())
}

fn of_pipeline(load_test: &LoadTest) -> String {
    format!("{}={}", labels::PIPELINE, load_test.spec.pipeline_ref.name)
}

async fn jobs(context: &Context, load_test: &LoadTest) -> Result<Vec<Job>, Error> {
    let of_producers = format!("{},{}={}", of_pipeline(load_test), labels::COMPONENT, Component::Producer.as_str());
    let found = reading::list(&context.client, load_test, "list the Jobs beside", &of_producers).await?;
    Ok(readable(found))
}

async fn pods(context: &Context, load_test: &LoadTest) -> Result<Vec<Pod>, Error> {
    let found = reading::list(&context.client, load_test, "list the pods beside", &of_pipeline(load_test)).await?;
    Ok(readable(found))
}

/// The reports are read after Jobs and pods: a producer reports before it ends.
async fn reports(context: &Context, load_test: &LoadTest, around: &mut Around) -> Result<(), Error> {
    let of_test = format!("{}={}", labels::LOAD_TEST, load_test.name_any());
    for report in reading::list::<ProducerReport>(&context.client, load_test, "list the reports of", &of_test).await? {
        match report {
            Ok(report) => around.reports.push(report),
            Err(invalid) => {
                let InvalidObject { metadata, error } = *invalid;
                around.unreadable.reports.insert(metadata.name.unwrap_or_default(), trimmed(&error));
            }
        }
    }
    Ok(())
}

fn readable<K: Watched>(found: Vec<Result<K, Box<InvalidObject>>>) -> Vec<K> {
    found.into_iter().filter_map(Result::ok).collect()
}

/// The other tests of the same Pipeline that are not over.
fn others(context: &Context, load_test: &LoadTest) -> Vec<Arc<LoadTest>> {
    let namespace = load_test.namespace().unwrap_or_default();
    let pipeline = load_test.spec.pipeline_ref.name.as_str();
    let mut others = context.watches.load_tests().list(&namespace, |_, other| !other.over && other.is_of(pipeline));
    others.retain(|other| other.metadata.uid != load_test.metadata.uid);
    others
}

/// The test that has the Pipeline may be so new that the watch does not know it yet.
async fn with_holder(
    context: &Context,
    load_test: &LoadTest,
    pipeline: Option<&Pipeline>,
) -> Result<Vec<Arc<LoadTest>>, Error> {
    // Without the caches nothing is known of a line; whoever decides has them, or is about to.
    context.watches.load_tests().ready().await;
    let mut others = others(context, load_test);
    let Some(holder) = pipeline.and_then(holder) else { return Ok(others) };
    let is_it = |test: &LoadTest| test.metadata.uid.as_deref() == Some(holder.uid.as_str());
    if !is_it(load_test) && !others.iter().any(|other| is_it(other)) {
        let verb = "read the LoadTest that has the Pipeline of";
        let found = reading::get::<LoadTest>(&context.client, load_test, verb, &holder.name).await?;
        others.extend(found.and_then(Result::ok).filter(|test| is_it(test) && !is_finished(test)).map(Arc::new));
    }
    Ok(others)
}

/// The test that this one is compared with, which may be one of another Pipeline.
fn baseline(context: &Context, load_test: &LoadTest) -> Option<Baseline> {
    let reference = load_test.spec.baseline_ref.as_ref()?;
    let namespace = load_test.namespace().unwrap_or_default();
    let find = |name: &str| context.watches.load_tests().get(&namespace, name);
    let test = find(&reference.name).map(owned);
    let waits_for_this = waits_for_itself(load_test, find);
    Some(Baseline { name: reference.name.clone(), test, waits_for_this, files: None })
}

/// The baseline with its measurement, which is big, so it is read only when there is something to compare.
async fn read_measurement(context: &Context, load_test: &LoadTest, baseline: &mut Baseline) -> Result<(), Error> {
    let found = reading::get::<LoadTest>(&context.client, load_test, "read the baseline of", &baseline.name).await?;
    baseline.test = found.and_then(Result::ok);
    let histograms = baseline.test.as_ref().and_then(|test| test.status.as_ref()?.histograms.as_ref());
    if let Some(histograms) = histograms {
        let verb = "read the histograms of the baseline of";
        let map = reading::get::<ConfigMap>(&context.client, load_test, verb, &histograms.config_map).await?;
        baseline.files = map.and_then(Result::ok).as_ref().and_then(build::files);
    }
    Ok(())
}

/// What only events say of the first producer that does not start: why the Job controller could not make its pod, such
/// as a quota, or why its node cannot give it its volumes. They are asked for only while one starts.
async fn refusals(
    context: &Context,
    load_test: &LoadTest,
    jobs: &[Job],
    pods: &[Pod],
) -> Result<BTreeMap<String, Trouble>, Error> {
    let starting = load_test.status.as_ref().is_some_and(|status| status.phase == Phase::Starting);
    let silent = |job: &Job| {
        let pods: Vec<_> = pods.iter().filter(|pod| is_owned_by(*pod, job)).collect();
        let ours = is_owned_by(job, load_test) && !job_is_over(job);
        Some((job.name_any(), ours.then(|| warnings::whom_to_ask(job, &pods)).flatten()?))
    };
    let mut refusals = BTreeMap::new();
    if let Some((job, uid)) = jobs.iter().find_map(silent).filter(|_| starting) {
        let trouble = warnings::latest(&context.client, load_test, &uid).await?;
        refusals.extend(trouble.map(|trouble| (job, trouble)));
    }
    Ok(refusals)
}
