//! Reads what a decision needs, and does what it says.

use futures::future::try_join4;
use jiff::{Timestamp, Unit};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Api, ResourceExt, api::ListParams, runtime::events::EventType};
use serde::Serialize;
use tailrace_crds::{LoadTest, Pipeline, ProducerReport, pipeline::ActiveLoadTest};

use super::{
    build,
    decide::{Decision, Step},
    observation::{Observation, is_owned_by},
    queue::holder,
};
use crate::{
    apply::{Error, Writer, bounded},
    context::Context,
    labels::{self, Component},
};

/// The field manager of this controller.
const MANAGER: &str = "tailrace-load-test";

/// Reads the test and all that belongs to it, or nothing if it is gone. `cached` only says which one.
pub async fn observe(context: &Context, cached: &LoadTest) -> Result<Option<Observation>, Error> {
    let client = || context.client.clone();
    let namespace = cached.namespace().unwrap_or_default();
    let tests = Api::<LoadTest>::namespaced(client(), &namespace);
    let Some(load_test) = bounded("read", cached, tests.get_opt(&cached.name_any())).await? else {
        return Ok(None);
    };

    let pipeline_name = &load_test.spec.pipeline_ref.name;
    let of_pipeline = format!("{}={pipeline_name}", labels::PIPELINE);
    let of_producers = format!("{of_pipeline},{}={}", labels::COMPONENT, Component::Producer.as_str());
    let pipelines = Api::<Pipeline>::namespaced(client(), &namespace);
    let jobs = Api::<Job>::namespaced(client(), &namespace);
    let pods = Api::<Pod>::namespaced(client(), &namespace);
    let (all, of_pipeline, of_producers) = (
        ListParams::default(),
        ListParams::default().labels(&of_pipeline),
        ListParams::default().labels(&of_producers),
    );
    let (pipeline, tests, jobs, pods) = try_join4(
        bounded("read the Pipeline of", &load_test, pipelines.get_opt(pipeline_name)),
        bounded("list the tests beside", &load_test, tests.list(&all)),
        bounded("list the Jobs beside", &load_test, jobs.list(&of_producers)),
        bounded("list the pods beside", &load_test, pods.list(&of_pipeline)),
    )
    .await?;

    let reports = Api::<ProducerReport>::namespaced(client(), &namespace);
    let of_test = ListParams::default().labels(&format!("{}={}", labels::LOAD_TEST, load_test.name_any()));
    let reports = bounded("list the reports of", &load_test, reports.list(&of_test)).await?;

    let beside = |other: &LoadTest| {
        other.spec.pipeline_ref == load_test.spec.pipeline_ref && other.metadata.uid != load_test.metadata.uid
    };
    Ok(Some(Observation {
        others: tests.items.into_iter().filter(beside).collect(),
        pipeline,
        jobs: jobs.items,
        pods: pods.items,
        reports: reports.items.into_iter().filter(|report| is_owned_by(report, &load_test)).collect(),
        now: now(),
        load_test,
    }))
}

/// To the microsecond, as the API server keeps it.
fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Microsecond).unwrap_or(now)
}

/// Does what was decided. What has been done when an error comes is found by the next observation.
pub async fn carry_out(context: &Context, seen: &Observation, decision: &Decision) -> Result<(), Error> {
    let writer = Writer::new(context.client.clone(), MANAGER);
    for step in &decision.steps {
        match step {
            Step::TakePipeline => name_active_test(&writer, seen, Some(this_test(seen))).await?,
            Step::StartProducers(indices) => start_producers(context, &writer, seen, indices).await?,
            Step::RemoveJobs(indices) => remove_jobs(&writer, seen, indices).await?,
            Step::ReleasePipeline => name_active_test(&writer, seen, None).await?,
        }
    }
    let written = writer.apply_status(&seen.load_test, &seen.status(), &decision.status, true).await?;
    if written {
        tracing::debug!(phase = ?decision.status.phase, "{}", decision.status.message.as_deref().unwrap_or_default());
    }
    for news in &decision.announcements {
        let type_ = if news.warning { EventType::Warning } else { EventType::Normal };
        context.event(&seen.load_test, type_, &news.reason, &news.note).await;
    }
    Ok(())
}

/// The one field of a Pipeline's status that this controller writes.
#[derive(Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Lock {
    #[serde(skip_serializing_if = "Option::is_none")]
    active_load_test: Option<ActiveLoadTest>,
}

fn this_test(seen: &Observation) -> ActiveLoadTest {
    ActiveLoadTest { name: seen.load_test.name_any(), uid: seen.load_test.uid().unwrap_or_default() }
}

/// Fails with a conflict if the Pipeline has changed since it was read: another test may have it.
async fn name_active_test(writer: &Writer, seen: &Observation, test: Option<ActiveLoadTest>) -> Result<(), Error> {
    let Some(pipeline) = &seen.pipeline else { return Ok(()) };
    let current = Lock { active_load_test: holder(pipeline).cloned() };
    writer.apply_status(pipeline, &current, &Lock { active_load_test: test }, true).await?;
    Ok(())
}

/// Permissions and reports first: a producer must find both.
async fn start_producers(context: &Context, writer: &Writer, seen: &Observation, indices: &[i32]) -> Result<(), Error> {
    let Some(pipeline) = &seen.pipeline else { return Ok(()) };
    let test = &seen.load_test;
    let permissions = build::permissions(test);
    writer.apply(&permissions.account).await?;
    writer.apply(&permissions.role).await?;
    writer.apply(&permissions.binding).await?;
    for &index in indices.iter().filter(|index| seen.report(**index).is_none()) {
        writer.apply(&build::report(test, index)).await?;
    }
    for &index in indices.iter().filter(|index| seen.job(**index).is_none()) {
        writer.apply(&build::job(test, pipeline, &context.settings.images, index)).await?;
    }
    Ok(())
}

async fn remove_jobs(writer: &Writer, seen: &Observation, indices: &[i32]) -> Result<(), Error> {
    for job in indices.iter().filter_map(|index| seen.job(*index)) {
        writer.delete(job).await?;
    }
    Ok(())
}
