//! From a [`LoadTest`] to its percentiles.
//!
//! [`observe::observe`] reads, [`decide::decide`] decides without any I/O, [`apply::apply`] does what was decided.

pub mod apply;
pub mod baseline;
pub mod build;
pub mod changes;
pub mod columns;
pub mod decide;
pub mod documents;
pub mod environment;
#[cfg(test)]
mod fixtures;
pub mod observation;
pub mod observe;
pub mod producers;
pub mod progress;
pub mod queue;
pub mod result;
pub mod slos;
pub mod status;
pub mod sum;

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    ResourceExt,
    runtime::{
        Controller,
        controller::{self, Action},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tailrace_crds::{LoadTest, Pipeline, ProducerReport, conditions::reasons};
use tokio_util::sync::CancellationToken;

use self::{
    decide::{Decision, Step},
    observation::{Observation, is_finished},
};
use crate::{
    context::Context,
    controllers::{retry, tell},
    labels::{self, Component},
    writer::Error,
};

/// How many tests are looked at at once.
const CONCURRENCY: u16 = 8;

/// Runs the controller of LoadTests until `shutdown` is cancelled.
pub async fn controller(context: Arc<Context>, shutdown: CancellationToken) {
    let of_producers = format!("{}={}", labels::COMPONENT, Component::Producer.as_str());
    let of_producers = || watcher::Config::default().labels(&of_producers);
    let controller = Controller::new(context.watched::<LoadTest>(), watcher::Config::default());
    let (tests, tests_too) = (controller.store(), controller.store());
    controller
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .owns(context.watched::<Job>(), of_producers())
        .watches(context.watched::<ProducerReport>(), watcher::Config::default(), |report| test_of_report(&report))
        .watches(context.watched::<Pod>(), of_producers(), move |pod| tests_of_pod(&tests, &pod))
        .watches(context.watched::<Pipeline>(), watcher::Config::default(), move |pipeline| {
            tests_of_pipeline(&tests_too, pipeline.namespace().as_deref(), &pipeline.name_any())
        })
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, retry, context.clone())
        .for_each(async |outcome| tell(&context, outcome))
        .await;
}

async fn reconcile(cached: Arc<LoadTest>, context: Arc<Context>) -> Result<Action, Error> {
    let Some(seen) = observe::observe(&context, &cached).await? else {
        return Ok(Action::await_change());
    };
    let mut decision = decide::decide(&seen);
    if let Err(error) = apply::apply(&context, &seen, &decision).await {
        let why = refusal(&seen, &decision, &error).ok_or(error)?;
        decision = decide::finish(&seen, reasons::PRODUCER_FAILED, why);
        apply::apply(&context, &seen, &decision).await?;
    }
    let look_again = [decision.look_again, documents::tidy(&context, &seen.load_test, seen.pipeline.as_ref()).await?];
    Ok(look_again.into_iter().flatten().min().map_or(Action::await_change(), Action::requeue))
}

/// Why the API server does not take the producers, if it would not take them the next time either: their podTemplate is
/// one that no pod can have, or there may be no such pods.
fn refusal(seen: &Observation, decision: &Decision, error: &Error) -> Option<String> {
    let starts = decision.steps.iter().any(|step| matches!(step, Step::StartProducers(_)));
    let impossible = || build::why_impossible(&seen.load_test);
    let why = impossible().or_else(|| error.is_refusal().then(|| error.to_string()));
    why.filter(|_| starts)
}

/// Progress is no news: it is read on a timer, since each of many producers writes it often.
fn test_of_report(report: &ProducerReport) -> Option<ObjectRef<LoadTest>> {
    let status = report.status.as_ref();
    let sends = status.is_some_and(|status| status.progress.is_some());
    let ended = status.is_some_and(|status| status.result.is_some() || status.failure.is_some());
    (!sends || ended).then(|| reference(report.namespace().as_deref(), &report.spec.load_test))
}

/// The pod's own test and, since they may wait for its end, those that want the same Pipeline.
fn tests_of_pod(tests: &Store<LoadTest>, pod: &Pod) -> Vec<ObjectRef<LoadTest>> {
    let namespace = pod.namespace();
    let own = pod.labels().get(labels::LOAD_TEST).map(|test| reference(namespace.as_deref(), test));
    let waiting = pod.labels().get(labels::PIPELINE).map(|pipeline| {
        let mut waiting = tests_of_pipeline(tests, namespace.as_deref(), pipeline);
        waiting.retain(|test| Some(test) != own.as_ref());
        waiting
    });
    own.iter().cloned().chain(waiting.into_iter().flatten()).collect()
}

/// The tests of a Pipeline that are not over.
fn tests_of_pipeline(tests: &Store<LoadTest>, namespace: Option<&str>, pipeline: &str) -> Vec<ObjectRef<LoadTest>> {
    let wanted = |test: &Arc<LoadTest>| {
        test.namespace().as_deref() == namespace && test.spec.pipeline_ref.name == pipeline && !is_finished(test)
    };
    tests.state().iter().filter(|test| wanted(test)).map(|test| ObjectRef::from_obj(test.as_ref())).collect()
}

fn reference(namespace: Option<&str>, test: &str) -> ObjectRef<LoadTest> {
    let reference = ObjectRef::new(test);
    match namespace {
        Some(namespace) => reference.within(namespace),
        None => reference,
    }
}
