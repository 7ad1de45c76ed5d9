//! The state machine of a LoadTest, as a pure function of what was observed.
//!
//! Whatever happens between two decisions is found again in the API server, so it does not matter which operator,
//! started how often, makes the next one. What must happen once is written once: the common start, and the end.

mod ending;
mod instead;
mod running;
mod waiting;

use std::time::Duration;

use tailrace_crds::{
    conditions::reasons,
    load_test::{LoadTestStatus, Phase},
};
use tailrace_measure::intervals::Files;

pub use self::instead::instead;
use self::{
    ending::{end_aborted, finish, tidy_up},
    running::{run, start},
    waiting::queue,
};
use super::{
    observation::Observation,
    producers::Producer,
    status::{Announcement, news},
};

/// How often the progress is written.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);
/// How soon it is looked again at what should be announced by a watch.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(10);

/// What is to be done next, in this order: the steps, the status, the announcements.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What changes in the cluster.
    pub steps: Vec<Step>,
    /// The status as it should be.
    pub status: LoadTestStatus,
    /// Events.
    pub announcements: Vec<Announcement>,
    /// When to decide again if nothing is announced before.
    pub look_again: Option<Duration>,
}

/// One change in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write this test's name into the status of the Pipeline.
    TakePipeline,
    /// Make the permissions, and the reports of these producers: nothing that sends load.
    PrepareProducers(Vec<i32>),
    /// Make the Jobs of these producers.
    StartProducers(Vec<i32>),
    /// Delete the Jobs of these producers.
    RemoveJobs(Vec<i32>),
    /// Delete the reports of these producers, which belong to the pods that have written into them.
    RemoveReports(Vec<i32>),
    /// Remove this test's name from the status of the Pipeline.
    ReleasePipeline,
    /// Take the results out of the reports of these producers: they are a part of that of the test.
    DropResults(Vec<i32>),
    /// Keep the measurement second by second in a ConfigMap.
    KeepHistograms(Box<Files>),
    /// Delete the test and all that belongs to it.
    DeleteTest,
}

impl Decision {
    /// Whether it starts or ends something, so that it must not be made on what may be a moment old.
    pub fn is_momentous(&self, seen: &Observation) -> bool {
        let before = seen.status();
        let starts_or_deletes =
            |step: &Step| matches!(step, Step::TakePipeline | Step::StartProducers(_) | Step::DeleteTest);
        self.steps.iter().any(starts_or_deletes)
            || (self.status.phase.is_final() && !before.phase.is_final())
            || self.status.start_time != before.start_time
    }
}

/// What is to be done next.
pub fn decide(seen: &Observation) -> Decision {
    let status = seen.status();
    if seen.load_test.metadata.deletion_timestamp.is_some() {
        return Decision { steps: vec![], status, announcements: vec![], look_again: None };
    }
    match (status.phase, &seen.pipeline, &status.start_time) {
        (phase, ..) if phase.is_final() => tidy_up(seen),
        (_, _, None) if seen.load_test.spec.abort => end_aborted(seen),
        (_, _, None) if seen.load_test.spec.suspend => queue(seen),
        (Phase::Queued, ..) => queue(seen),
        (_, None, _) => match &seen.unreadable.pipeline {
            Some(why) => {
                let message = format!("{} cannot be read any more: {why}", the_pipeline(seen));
                finish(seen, reasons::PIPELINE_NOT_FOUND, message)
            }
            None => {
                let message = format!("{} was deleted while the test ran", the_pipeline(seen));
                finish(seen, reasons::PIPELINE_NOT_FOUND, message)
            }
        },
        (_, Some(_), None) => start(seen),
        (_, Some(_), Some(start_time)) => run(seen, start_time.0),
    }
}

fn go_on(seen: &Observation, steps: Vec<Step>, status: LoadTestStatus, look_again: Duration) -> Decision {
    let announcements = news(&seen.status(), &status);
    Decision { steps, status, announcements, look_again: Some(look_again) }
}

fn missing(producers: &[Producer<'_>]) -> Option<Vec<i32>> {
    let missing: Vec<_> =
        (0..).zip(producers).filter(|(_, producer)| **producer == Producer::Missing).map(|(index, _)| index).collect();
    (!missing.is_empty()).then_some(missing)
}

fn ready_message(seen: &Observation, ready: usize) -> String {
    format!("{ready} of {} producers are ready", seen.load_test.spec.producers)
}

fn the_pipeline(seen: &Observation) -> String {
    format!("Pipeline \"{}\"", seen.load_test.spec.pipeline_ref.name)
}

#[cfg(test)]
mod tests;
