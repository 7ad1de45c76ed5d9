//! From a [`LoadTest`] to its percentiles.
//!
//! [`observe::observe`] reads, [`decide::decide`] decides without any I/O, [`apply::apply`] does what was decided.

pub mod apply;
pub mod baseline;
pub mod build;
pub mod changes;
pub mod columns;
pub mod cpu_limit;
pub mod decide;
pub mod documents;
pub mod environment;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod leftovers;
pub mod lock;
pub mod observation;
pub mod observe;
pub mod producers;
pub mod progress;
pub mod queue;
pub mod result;
pub mod status;

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{controller::Action, reflector::ObjectRef};
use tailrace_crds::{LoadTest, ProducerReport};
use tokio_util::sync::CancellationToken;

use self::{
    decide::Decision,
    observation::{Observation, is_finished},
};
use crate::{
    context::Context,
    controllers::{Controller, owners},
    labels,
    watch::{Change, Watch},
    writer::Error,
};

/// How many tests are looked at at once.
const CONCURRENCY: u16 = 8;

/// Runs the controllers of LoadTests and of the Pipelines that these have, until `shutdown` is cancelled.
pub async fn controller(context: Arc<Context>, shutdown: CancellationToken) {
    tokio::join!(tests(context.clone(), shutdown.clone()), lock::controller(context, shutdown));
}

async fn tests(context: Arc<Context>, shutdown: CancellationToken) {
    let watches = &context.watches;
    let tests = watches.load_tests().clone();
    let tests_too = tests.clone();
    Controller::new(watches.load_tests(), CONCURRENCY)
        .owns(watches.jobs())
        .watches(watches.reports(), test_of_report)
        .watches(watches.pods(), move |change| tests_of_pod(&tests, change))
        .watches(watches.pipelines(), move |change| {
            let pipeline = change.meta();
            tests_of_pipeline(&tests_too, pipeline.namespace.as_deref(), pipeline.name.as_deref().unwrap_or_default())
        })
        .reads(watches.deployments())
        .reads(watches.replica_sets())
        .reads(watches.stateful_sets())
        .run(context.clone(), shutdown, reconcile)
        .await;
}

async fn reconcile(known: Arc<LoadTest>, context: Arc<Context>) -> Result<Action, Error> {
    let seen = observe::observe_known(&context, &known).await?;
    let (mut seen, mut decision) = decided(seen).await?;
    if decision.is_momentous(&seen) {
        let Some(now) = observe::observe(&context, &known).await? else {
            return Ok(Action::await_change());
        };
        (seen, decision) = decided(now).await?;
    }
    // At most the whole test and then its histograms are given up.
    for _ in 0..3 {
        let Err(undone) = apply::apply(&context, &seen, &decision).await else { break };
        let lasting = context.retries.is_lasting(&seen.load_test, &undone.error);
        decision = decide::instead(&seen, &decision, &undone, lasting).ok_or(undone.error)?;
    }
    let look_again = [decision.look_again, documents::tidy(&context, &seen.load_test, seen.pipeline.as_ref()).await?];
    Ok(look_again.into_iter().flatten().min().map_or(Action::await_change(), Action::requeue))
}

/// The decision. Histograms are decoded and summed where that keeps nothing else waiting.
async fn decided(seen: Observation) -> Result<(Observation, Decision), Error> {
    let is_big =
        seen.reports.iter().filter_map(|report| report.status.as_ref()).any(|status| status.progress.is_some());
    if !is_big || is_finished(&seen.load_test) {
        let decision = decide::decide(&seen);
        return Ok((seen, decision));
    }
    let decided = tokio::task::spawn_blocking(move || {
        let decision = decide::decide(&seen);
        (seen, decision)
    });
    Ok(decided.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())))
}

/// Progress is no news: it is read on a timer, since each of many producers writes it often.
fn test_of_report(change: &Change<ProducerReport>) -> Vec<ObjectRef<LoadTest>> {
    let status = change.object().and_then(|report| report.status.as_ref());
    let sends = status.is_some_and(|status| status.progress.is_some());
    let ended = status.is_some_and(|status| status.result.is_some() || status.failure.is_some());
    let gone = matches!(change, Change::Gone(_));
    if !sends || ended || gone { owners(change.meta()) } else { vec![] }
}

/// The pod's own test and, since they may wait for its end, those that want the same Pipeline.
fn tests_of_pod(tests: &Watch<LoadTest>, change: &Change<Pod>) -> Vec<ObjectRef<LoadTest>> {
    let pod = change.meta();
    let (namespace, labels) = (pod.namespace.as_deref(), pod.labels.clone().unwrap_or_default());
    // Pods of the Pipeline itself are watched through the Pipeline.
    let Some(own) = labels.get(labels::LOAD_TEST).map(|test| reference(namespace, test)) else { return vec![] };
    let waiting = labels.get(labels::PIPELINE).map(|pipeline| tests_of_pipeline(tests, namespace, pipeline));
    waiting.into_iter().flatten().filter(|test| *test != own).chain([own.clone()]).collect()
}

/// The tests of a Pipeline that are not over.
fn tests_of_pipeline(tests: &Watch<LoadTest>, namespace: Option<&str>, pipeline: &str) -> Vec<ObjectRef<LoadTest>> {
    let mut found = tests.names(|test| !test.over && test.is_of(pipeline));
    found.retain(|test| test.namespace.as_deref() == namespace);
    found
}

fn reference(namespace: Option<&str>, test: &str) -> ObjectRef<LoadTest> {
    let reference = ObjectRef::new(test);
    match namespace {
        Some(namespace) => reference.within(namespace),
        None => reference,
    }
}
