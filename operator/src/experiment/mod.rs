//! From an [`Experiment`] to its LoadTests, one after another, and to what they say together.
//!
//! [`observe::observe`] reads, [`decide::decide`] decides without any I/O, [`apply::apply`] does what was decided.

pub mod apply;
pub mod build;
pub mod decide;
#[cfg(test)]
mod fixtures;
pub mod max_rate;
pub mod observation;
pub mod observe;
pub mod plan;
pub mod status;
pub mod sweep;
pub mod table;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use kube::runtime::{
    Controller,
    controller::{self, Action},
    watcher,
};
use tailrace_crds::{Experiment, LoadTest};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    controllers::{retry, tell},
    writer::Error,
};

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
        .run(reconcile, retry, context.clone())
        .for_each(async |outcome| tell(&context, outcome))
        .await;
}

async fn reconcile(cached: Arc<Experiment>, context: Arc<Context>) -> Result<Action, Error> {
    let Some(seen) = observe::observe(&context, &cached).await? else {
        return Ok(Action::await_change());
    };
    let decision = apply::apply(&context, &seen, decide::decide(&seen)).await?;
    Ok(decision.look_again.map_or(Action::await_change(), Action::requeue))
}
