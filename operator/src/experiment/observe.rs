//! Reads what a decision needs, which the watches know. They may be a moment behind: the status is written with the version
//! that it was decided on, and a LoadTest has a name that can be taken only once.

use kube::ResourceExt;
use tailrace_crds::Experiment;

use super::observation::Observation;
use crate::{context::Context, controllers::now, watch::Facts};

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
