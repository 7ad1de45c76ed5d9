//! Reads what a decision needs, which the watches know. They may be a moment behind: the status is written with the version
//! that it was decided on, and a LoadTest has a name that can be taken only once.

use kube::ResourceExt;
use tailrace_crds::Experiment;

use super::observation::Observation;
use crate::{context::Context, controllers::now};

/// The Experiment and the LoadTests beside it.
pub fn observe(context: &Context, experiment: &Experiment) -> Observation {
    let namespace = experiment.namespace().unwrap_or_default();
    let tests = context.watches.load_tests();
    Observation {
        experiment: experiment.clone(),
        tests: tests.list(&namespace, |_| true),
        unreadable: tests.unreadable(&namespace).into_iter().collect(),
        now: now(),
    }
}
