//! What the API server holds about one Experiment, at one moment.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use tailrace_crds::{
    Experiment, LoadTest,
    experiment::{ExperimentStatus, RERUN_ANNOTATION},
};

use super::build;
use crate::ownership::{Taken, is_owned_by, taken};

/// How much of the value of the annotation counts.
const LONGEST_RERUN: usize = 253;

/// What the API server holds about one Experiment, at one moment. All decisions are made from this alone.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The Experiment itself.
    pub experiment: Experiment,
    /// Of the LoadTests of its namespace those that are its own, bear a name that it gives or are not over.
    pub tests: Vec<Arc<LoadTest>>,
    /// Those that cannot be read, with the reasons.
    pub unreadable: BTreeMap<String, String>,
    /// The time.
    pub now: Timestamp,
}

/// What a name of a LoadTest stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<'a> {
    /// Nothing.
    Nothing,
    /// A LoadTest of this Experiment.
    Ours(&'a LoadTest),
    /// A LoadTest that is not of this Experiment.
    Taken(Taken),
    /// A LoadTest that cannot be read, and why.
    Unreadable(&'a str),
}

impl Observation {
    /// The status as it was read, or that of an Experiment that nobody has looked at.
    pub fn status(&self) -> ExperimentStatus {
        self.experiment.status.clone().unwrap_or_default()
    }

    /// The value of the annotation that asks for a round.
    pub fn rerun(&self) -> Option<String> {
        let value = self.experiment.annotations().get(RERUN_ANNOTATION)?;
        Some(value.chars().take(LONGEST_RERUN).collect())
    }

    /// Whether a round is to be begun: the first one, or one that the annotation asks for.
    pub fn wants_a_round(&self) -> bool {
        let status = self.status();
        let rerun = self.rerun();
        status.round == 0 || (rerun.is_some() && rerun != status.rerun)
    }

    /// The LoadTest of that name.
    pub fn test(&self, name: &str) -> Found<'_> {
        if let Some(why) = self.unreadable.get(name) {
            return Found::Unreadable(why);
        }
        let mut tests = self.tests.iter().map(Arc::as_ref);
        let Some(test) = tests.find(|test| test.metadata.name.as_deref() == Some(name)) else { return Found::Nothing };
        let owner = self.experiment.controller_owner_ref(&());
        taken(test, owner.as_ref()).map_or(Found::Ours(test), Found::Taken)
    }

    /// The LoadTests of all rounds but this one.
    pub fn of_other_rounds(&self, round: i32) -> impl Iterator<Item = &LoadTest> {
        let prefix = build::prefix(&self.experiment, round);
        let ours = self.tests.iter().map(Arc::as_ref).filter(|test| is_owned_by(*test, &self.experiment));
        ours.filter(move |test| test.metadata.deletion_timestamp.is_none() && !test.name_any().starts_with(&prefix))
    }
}
