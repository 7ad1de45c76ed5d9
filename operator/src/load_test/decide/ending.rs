//! The end of a test, and what is left to do after it.

use std::time::Duration;

use tailrace_crds::{ProducerReport, conditions::reasons, load_test::LoadTestStatus};
use tailrace_measure::{judgement::Judgement, producer_result::ProducerResult};

use super::{
    super::{
        documents,
        observation::{Observation, job_condition, producer_name},
        producers::{Producer, producers},
        queue::{holder, is_held_by},
        result, status,
    },
    Decision, Step, go_on,
};

pub(super) fn complete(seen: &Observation, producers: &[Producer<'_>]) -> Decision {
    end_with(seen, &results(producers), |judgement| judgement)
}

/// Ends without success. What some producers have reported is shown all the same.
pub(super) fn finish(seen: &Observation, reason: &'static str, message: String) -> Decision {
    let producers = producers(seen);
    let results = results(&producers);
    end_with(seen, &results, |_| Judgement::invalid(reason, message))
}

/// Ends by the user's will before there was anything to measure.
pub(super) fn end_aborted(seen: &Observation) -> Decision {
    let nothing = || "nothing was measured before the common start".to_owned();
    end_with(seen, &[], |_| Judgement::invalid(reasons::NO_SAMPLES, nothing()))
}

/// Writes the numbers of those who have reported. An aborted test is nothing else, however it ended.
fn end_with(
    seen: &Observation,
    results: &[&ProducerResult],
    judgement: impl FnOnce(Judgement) -> Judgement,
) -> Decision {
    let mut status = LoadTestStatus { progress: None, ..seen.status() };
    status.result.messages = None;
    let (measured, files) = match results {
        [] => (Judgement::invalid(reasons::NO_SAMPLES, "no producer has reported".to_owned()), None),
        results => result::measure(seen, results, &mut status),
    };
    let mut judgement = judgement(measured);
    if seen.load_test.spec.abort {
        let message = format!("aborted; {}", judgement.message);
        judgement = judgement.aborted(message);
    }
    let steps = files.map(|files| Step::KeepHistograms(Box::new(files))).into_iter().collect();
    // At once: the load must not go on, and the next test waits.
    go_on(seen, steps, status::finished(seen, status, &judgement), Duration::ZERO)
}

/// After the end: no load, no documents that are not to be kept, no lock. A failed Job stays, since the log of its pod
/// says why, and so does one whose log has the messages.
pub(super) fn tidy_up(seen: &Observation) -> Decision {
    let spec = &seen.load_test.spec;
    let there = |index| seen.job(index).is_some_and(|job| job.metadata.deletion_timestamp.is_none());
    let stays = |index, producer: &Producer<'_>| match producer {
        // One whose report cannot be read may still send.
        Producer::Failed(_) if seen.unreadable.reports.contains_key(&producer_name(&seen.load_test, index)) => false,
        // Its Experiment has deleted its report.
        Producer::Failed(_) if seen.report(index).is_none() => {
            spec.raw_log || seen.job(index).is_some_and(|job| job_condition(job, "Failed").is_some())
        }
        Producer::Failed(_) => true,
        Producer::Done(_) | Producer::Summed => spec.raw_log,
        _ => false,
    };
    let jobs: Vec<_> = (0..)
        .zip(producers(seen))
        .filter(|(index, producer)| there(*index) && !stays(*index, producer))
        .map(|(index, _)| index)
        .collect();
    let mut steps = vec![];
    if !jobs.is_empty() {
        steps.push(Step::RemoveJobs(jobs));
    }
    let pending = documents::is_pending(&seen.load_test, seen.now);
    if is_held_by(seen.pipeline.as_ref().and_then(holder), &seen.load_test) && !pending {
        steps.push(Step::ReleasePipeline);
    }
    let reported: Vec<_> =
        seen.reports.iter().filter(|report| has_result(report)).map(|report| report.spec.index).collect();
    if !reported.is_empty() {
        steps.push(Step::DropResults(reported));
    }
    let left = time_to_live(seen);
    if left == Some(Duration::ZERO) && !pending {
        steps.push(Step::DeleteTest);
    }
    Decision { steps, status: seen.status(), announcements: vec![], look_again: left.filter(|left| !left.is_zero()) }
}

fn has_result(report: &ProducerReport) -> bool {
    report.status.as_ref().is_some_and(|status| status.result.is_some())
}

/// How long a finished test stays, if not for ever.
fn time_to_live(seen: &Observation) -> Option<Duration> {
    let seconds = u64::try_from(seen.load_test.spec.ttl_seconds_after_finished?).unwrap_or_default();
    let finished = seen.status().completion_time?.0;
    Some(Duration::from_secs(seconds).saturating_sub(seen.since(finished)))
}

fn results<'a>(producers: &[Producer<'a>]) -> Vec<&'a ProducerResult> {
    let result = |producer: &Producer<'a>| match producer {
        Producer::Done(result) => Some(*result),
        _ => None,
    };
    producers.iter().filter_map(result).collect()
}
