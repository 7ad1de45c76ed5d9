//! From an [`Experiment`] to its LoadTests, one after another, and to what they say together.
//!
//! [`observe::observe`] reads, [`decide::decide`] decides without any I/O, [`apply::apply`] does what was decided.

pub mod apply;
pub mod build;
pub mod decide;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod history;
pub mod max_rate;
pub mod observation;
pub mod observe;
pub mod plan;
pub mod status;
pub mod sweep;
pub mod table;

use std::{sync::Arc, time::Duration};

use kube::runtime::controller::Action;
use tailrace_crds::Experiment;
use tokio_util::sync::CancellationToken;

use crate::{context::Context, controllers::Controller, writer::Error};

/// How many Experiments are looked at at once.
const CONCURRENCY: u16 = 4;
/// Changes within this time are one: a LoadTest that runs writes its progress often.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Runs the controller of Experiments until `shutdown` is cancelled.
pub async fn controller(context: Arc<Context>, shutdown: CancellationToken) {
    Controller::new(context.watches.experiments(), CONCURRENCY)
        .debounce(DEBOUNCE)
        .owns(context.watches.load_tests())
        .run(context.clone(), shutdown, reconcile)
        .await;
}

async fn reconcile(known: Arc<Experiment>, context: Arc<Context>) -> Result<Action, Error> {
    let mut seen = observe::observe(&context, &known);
    let mut decision = decide::decide(&seen);
    if decision.status.phase.is_final() && !seen.status().phase.is_final() {
        // The watch may not know yet what was made a moment ago, and nobody would end it later.
        observe::read_tests(&context, &mut seen).await?;
        decision = decide::decide(&seen);
    }
    let decision = apply::apply(&context, &seen, decision).await?;
    Ok(decision.look_again.map_or(Action::await_change(), Action::requeue))
}
