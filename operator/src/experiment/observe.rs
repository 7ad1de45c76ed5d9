//! Reads what a decision needs, which the watches know. They may be a moment behind: the status is written with the
//! version that it was decided on, and a LoadTest has a name that can be taken only once.

use std::sync::Arc;

use kube::ResourceExt;
use tailrace_crds::{Experiment, LoadTest};

use super::observation::Observation;
use crate::{context::Context, controllers::now, labels, reading, watch::Facts, writer::Error};

/// The Experiment and the LoadTests beside it.
pub fn observe(context: &Context, experiment: &Experiment) -> Observation {
    let namespace = experiment.namespace().unwrap_or_default();
    let tests = context.watches.load_tests();
    let uid = experiment.uid();
    let names = format!("{}-", experiment.name_any());
    let is_own = |test: &Facts| uid.is_some() && test.controller.as_deref() == uid.as_deref();
    Observation {
        experiment: experiment.clone(),
        tests: tests.list(&namespace, |name, test| !test.over || is_own(test) || name.starts_with(&names)),
        unreadable: tests.unreadable(&namespace).into_iter().collect(),
        now: now(),
    }
}

/// Puts the Experiment's LoadTests as they are now in the place of what the watch knows of them.
///
/// # Errors
/// Of the API server.
pub async fn read_tests(context: &Context, seen: &mut Observation) -> Result<(), Error> {
    let label = format!("{}={}", labels::EXPERIMENT, seen.experiment.name_any());
    let found = reading::list::<LoadTest>(&context.client, &seen.experiment, "list the LoadTests of", &label).await?;
    // One that cannot be read is told so by the watch.
    for test in found.into_iter().filter_map(Result::ok) {
        seen.tests.retain(|known| known.metadata.name != test.metadata.name);
        seen.tests.push(Arc::new(test));
    }
    Ok(())
}
