//! The operator of Tailrace: makes what a [`Pipeline`](tailrace_crds::Pipeline), a
//! [`LoadTest`](tailrace_crds::LoadTest) and an [`Experiment`](tailrace_crds::Experiment) ask for, and says in their
//! status what came of it.
//!
//! Each kind has a folder: observe -> decide (pure) -> apply; whatever is made is built by pure functions. Everything
//! is a function of what the API server holds, so an operator that is killed at any point goes on where it was.

pub mod accounts;
pub mod applied;
pub mod conditions;
pub mod context;
pub mod controllers;
mod counting;
pub mod experiment;
pub mod health;
pub mod labels;
pub mod leader;
pub mod load_test;
pub mod logging;
pub mod metrics;
pub mod ownership;
pub mod pipeline;
pub mod pod_security;
pub mod pod_template;
pub mod pods;
pub mod quantity;
pub mod reading;
pub mod retries;
pub mod settings;
pub mod warnings;
pub mod watch;
pub mod writer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// Runs the controllers until `shutdown` is cancelled and their reconciliations in flight are over.
pub async fn run_controllers(context: Arc<Context>, shutdown: CancellationToken) {
    context.metrics.leads(true);
    tokio::join!(
        pipeline::controller(context.clone(), shutdown.clone()),
        load_test::controller(context.clone(), shutdown.clone()),
        experiment::controller(context.clone(), shutdown.clone()),
    );
    context.metrics.leads(false);
}

/// What a mutex guards, also after a panic elsewhere: nothing here is left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
