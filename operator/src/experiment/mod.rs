//! From an [`Experiment`] to its LoadTests, one after another, and to what they say together.
//!
//! [`cluster::observe`] reads, [`decide::decide`] decides without any I/O, [`cluster::carry_out`] does what was decided.

pub mod build;
pub mod cluster;
pub mod decide;
#[cfg(test)]
mod fixtures;
pub mod max_rate;
pub mod observation;
pub mod plan;
pub mod status;
pub mod sweep;
pub mod table;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use kube::{
    ResourceExt,
    runtime::{
        Controller,
        controller::{self, Action},
        watcher,
    },
};
use tailrace_crds::{Experiment, LoadTest};
use tokio_util::sync::CancellationToken;

use crate::{apply::Error, context::Context};

/// How many Experiments are looked at at once.
const CONCURRENCY: u16 = 4;
/// Changes within this time are one: a LoadTest that runs writes its progress often.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Runs the controller of Experiments until `shutdown` is cancelled.
pub async fn controller(context: Arc<Context>, shutdown: CancellationToken) {
    Controller::new(context.watched::<Experiment>(), watcher::Config::default())
        .owns(context.watched::<LoadTest>(), watcher::Config::default())
        .with_config(controller::Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, retry, context)
        .for_each(|outcome| async move {
            match outcome {
                // `retry` has told of the reconciler's own errors; an Experiment that is gone was to be expected.
                Ok(_) | Err(controller::Error::ReconcilerFailed(..) | controller::Error::ObjectNotFound(_)) => {}
                Err(error) => tracing::warn!("a watch of the Experiment controller failed and starts again: {error}"),
            }
        })
        .await;
}

async fn reconcile(cached: Arc<Experiment>, context: Arc<Context>) -> Result<Action, Error> {
    let Some(seen) = cluster::observe(&context, &cached).await? else {
        return Ok(Action::await_change());
    };
    let decision = cluster::carry_out(&context, &seen, decide::decide(&seen)).await?;
    Ok(decision.look_again.map_or(Action::await_change(), Action::requeue))
}

/// A conflict means that what was decided on is old already, so it is decided again soon; all else is given more time.
fn retry(experiment: Arc<Experiment>, error: &Error, _: Arc<Context>) -> Action {
    let millis = if error.is_conflict() { 50..200 } else { 2_000..4_000 };
    let delay = Duration::from_millis(rand::random_range(millis));
    let name = experiment.name_any();
    if error.is_conflict() {
        tracing::debug!(name, ?delay, "another writer was faster, tries again: {error}");
    } else {
        tracing::warn!(name, ?delay, "could not go on, tries again: {error}");
    }
    Action::requeue(delay)
}
