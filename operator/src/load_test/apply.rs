//! Does what was decided.

use futures::{StreamExt, TryFutureExt, TryStreamExt, stream};
use kube::{ResourceExt, runtime::events::EventType};
use serde::Serialize;
use serde_json::json;
use tailrace_crds::{Pipeline, pipeline::ActiveLoadTest};

use super::{
    build,
    decide::{Decision, Step},
    observation::Observation,
    queue::holder,
};
use crate::{
    accounts,
    context::Context,
    writer::{Error, Writer},
};

/// The field manager of this controller.
pub const MANAGER: &str = "tailrace-load-test";

/// How many writes of one LoadTest are sent concurrently.
const CONCURRENT_WRITES: usize = 8;

/// What could not be done of a decision.
#[derive(Debug)]
pub struct Undone {
    /// The step, or nothing if the status could not be written.
    pub step: Option<Step>,
    /// Why.
    pub error: Error,
}

/// Does what was decided. What has been done when an error comes is found by the next observation. A test that is over
/// gives back all that it can.
///
/// # Errors
/// The first step that failed.
pub async fn apply(context: &Context, seen: &Observation, decision: &Decision) -> Result<(), Undone> {
    let writer = Writer::new(context.client.clone(), MANAGER);
    let mut undone = None;
    for step in &decision.steps {
        if let Err(error) = take(context, &writer, seen, step).await {
            undone.get_or_insert(Undone { step: Some(step.clone()), error });
            if !seen.status().phase.is_final() {
                break;
            }
        }
    }
    undone.map_or(Ok(()), Err)?;
    let written = writer.apply_status(&seen.load_test, &seen.status(), &decision.status, true).await;
    if written.map_err(|error| Undone { step: None, error })? {
        tracing::debug!(phase = ?decision.status.phase, "{}", decision.status.message.as_deref().unwrap_or_default());
    }
    for news in &decision.announcements {
        let type_ = if news.warning { EventType::Warning } else { EventType::Normal };
        context.event(&seen.load_test, type_, &news.reason, &news.note).await;
    }
    Ok(())
}

async fn take(context: &Context, writer: &Writer, seen: &Observation, step: &Step) -> Result<(), Error> {
    match step {
        Step::PrepareProducers(indices) => prepare_producers(context, writer, seen, indices).await,
        Step::TakePipeline => take_or_release(writer, seen, Some(this_test(seen))).await,
        Step::StartProducers(indices) => start_producers(context, writer, seen, indices).await,
        Step::RemoveJobs(indices) => remove_jobs(writer, seen, indices).await,
        Step::DropResults(indices) => drop_results(writer, seen, indices).await,
        Step::RemoveReports(indices) => remove_reports(writer, seen, indices).await,
        Step::ReleasePipeline => take_or_release(writer, seen, None).await,
        Step::KeepHistograms(files) => writer.apply(&build::histograms(&seen.load_test, files)).await.map(drop),
        Step::DeleteTest => writer.delete(&seen.load_test).await,
    }
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

async fn take_or_release(writer: &Writer, seen: &Observation, test: Option<ActiveLoadTest>) -> Result<(), Error> {
    match &seen.pipeline {
        Some(pipeline) => name_active_test(writer, pipeline, test).await,
        None => Ok(()),
    }
}

/// Removes the name of whatever test has `pipeline`.
pub async fn release(context: &Context, pipeline: &Pipeline) -> Result<(), Error> {
    name_active_test(&Writer::new(context.client.clone(), MANAGER), pipeline, None).await
}

/// Fails with a conflict if the Pipeline has changed since it was read: another test may have it.
async fn name_active_test(writer: &Writer, pipeline: &Pipeline, test: Option<ActiveLoadTest>) -> Result<(), Error> {
    let current = Lock { active_load_test: holder(pipeline).cloned() };
    writer.apply_status(pipeline, &current, &Lock { active_load_test: test }, true).await?;
    Ok(())
}

/// Permissions and reports first: a producer must find both.
async fn prepare_producers(
    context: &Context,
    writer: &Writer,
    seen: &Observation,
    indices: &[i32],
) -> Result<(), Error> {
    let test = &seen.load_test;
    let permissions = build::permissions(test, accounts::pull_secrets(&context.client, test).await?);
    let account = async {
        match &permissions.account {
            Some(account) => writer.apply(account).await.map(drop),
            None => Ok(()),
        }
    };
    let missing = indices.iter().copied().filter(|index| seen.report(*index).is_none());
    let reports: Vec<_> = missing.map(|index| build::report(test, index)).collect();
    let reports = concurrently(reports.iter().map(|report| writer.create(report).map_ok(drop)).collect());
    // A binding is admitted only if its role is known to permit no more than the operator may do itself.
    let role_and_binding = async {
        writer.apply(&permissions.role).await?;
        writer.apply(&permissions.binding).await.map(drop)
    };
    tokio::try_join!(account, role_and_binding, reports)?;
    Ok(())
}

async fn start_producers(context: &Context, writer: &Writer, seen: &Observation, indices: &[i32]) -> Result<(), Error> {
    let Some(pipeline) = &seen.pipeline else { return Ok(()) };
    let missing = indices.iter().copied().filter(|index| seen.job(*index).is_none());
    let jobs: Vec<_> = missing.map(|index| build::job(&seen.load_test, pipeline, &context.settings, index)).collect();
    concurrently(jobs.iter().map(|job| writer.create(job).map_ok(drop)).collect()).await
}

/// Writes that do not depend on each other. The API server syncs each to its disk, which takes most of the time.
async fn concurrently(writes: Vec<impl Future<Output = Result<(), Error>>>) -> Result<(), Error> {
    stream::iter(writes).buffer_unordered(CONCURRENT_WRITES).try_collect().await
}

async fn remove_jobs(writer: &Writer, seen: &Observation, indices: &[i32]) -> Result<(), Error> {
    concurrently(indices.iter().filter_map(|index| seen.job(*index)).map(|job| writer.delete(job)).collect()).await
}

async fn drop_results(writer: &Writer, seen: &Observation, indices: &[i32]) -> Result<(), Error> {
    let summed = json!({ "result": null, "summed": true });
    let reports = indices.iter().filter_map(|index| seen.report(*index));
    concurrently(reports.map(|report| writer.merge_status(report, summed.clone())).collect()).await
}

async fn remove_reports(writer: &Writer, seen: &Observation, indices: &[i32]) -> Result<(), Error> {
    concurrently(indices.iter().filter_map(|index| seen.report(*index)).map(|report| writer.delete(report)).collect())
        .await
}
