//! One test for each way from one state to another.

mod baselines;
mod queued;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::json;
use tailrace_crds::{
    LoadTest,
    conditions::types,
    load_test::{PRUNED_ANNOTATION, PRUNED_HISTOGRAMS, Phase},
    producer_report::{ProducerProgress, ProducerReportStatus, Waiting},
};
use tailrace_measure::{accounting::Counts, histogram::LatencyHistogram};

use super::{super::fixtures::*, running::START_AHEAD, *};
use crate::{
    conditions::{find, is_true},
    ownership::{Holder, Taken},
};

fn accepted() -> (Observation, Decision) {
    let seen = new_test().with_pipeline();
    let decision = decide(&seen);
    (seen.with_lock().with_producers().after(0.2, &decision), decision)
}

fn started() -> Observation {
    let seen = accepted().0.with_ready(0).with_ready(1);
    let decision = decide(&seen);
    seen.after(0.0, &decision)
}

fn finished(decision: &Decision) -> (&'static str, String) {
    assert!(is_true(&decision.status.conditions, types::FINISHED), "{:?}", decision.status.phase);
    let condition = find(&decision.status.conditions, types::SUCCEEDED).unwrap();
    let reason = [
        reasons::COMPLETED,
        reasons::PRODUCER_FAILED,
        reasons::READY_TIMEOUT,
        reasons::PIPELINE_NOT_FOUND,
        reasons::PIPELINE_CHANGED,
        reasons::BASELINE_NOT_USABLE,
    ]
    .into_iter()
    .find(|reason| *reason == condition.reason);
    (reason.unwrap(), condition.message.clone())
}

#[test]
fn the_common_start_is_published_when_all_are_ready_and_never_moves() {
    let (seen, _) = accepted();
    let seen = seen.with_ready(0);
    let decision = decide(&seen);
    assert_eq!((decision.status.start_time, decision.status.ready_producers), (None, Some(1)));

    let seen = seen.with_ready(1);
    let start = decide(&seen);
    let start_time = start.status.start_time.clone().unwrap();
    assert_eq!(start_time.0, seen.now + START_AHEAD);
    assert_eq!(start.status.phase, Phase::WarmingUp);
    for later in [0.1, 1.0, 10.0, 30.0] {
        let decision = decide(&seen.clone().after(later, &start));
        assert_eq!(decision.status.start_time, Some(start_time.clone()));
    }
}

#[test]
fn the_phases_follow_the_clock() {
    // The start is 1.5 s ahead, then 5 s of warm-up, 20 s of measurement and 10 s of drain.
    for (seconds, phase) in
        [(1.0, Phase::WarmingUp), (6.4, Phase::WarmingUp), (6.6, Phase::Running), (26.6, Phase::Draining)]
    {
        assert_eq!(decide(&started().later(seconds)).status.phase, phase, "after {seconds} s");
    }
    assert_eq!(decide(&started().later(6.0)).look_again, Some(Duration::from_millis(500)), "at the boundary");
    assert_eq!(decide(&started().later(10.0)).look_again, Some(PROGRESS_INTERVAL));
}

#[test]
fn progress_is_written_every_two_seconds_and_not_more_often() {
    let sent = |sent| Counts { scheduled: sent, sent, ..Counts::default() };
    let progress = |count| {
        let recent_latency = LatencyHistogram::new().encode().unwrap();
        Some(ProducerProgress { messages: sent(count), recent_latency, recent_millis: 2_000 })
    };
    let mut seen = started().later(10.0);
    seen.report_mut(0).status.as_mut().unwrap().progress = progress(5);
    let first = decide(&seen);
    assert_eq!(first.status.result.messages, Some(sent(5)));
    let mut seen = seen.after(1.9, &first);
    seen.report_mut(0).status.as_mut().unwrap().progress = progress(9);
    assert_eq!(decide(&seen).status, first.status);
    assert_eq!(decide(&seen.later(0.1)).status.result.messages, Some(sent(9)));
}

#[test]
fn without_a_warm_up_it_runs_at_once() {
    let mut seen = started();
    seen.load_test.spec.warmup = "0s".parse().unwrap();
    assert_eq!(decide(&seen).status.phase, Phase::Running);
}

#[test]
fn with_all_results_it_succeeds_and_then_tidies_up() {
    let seen = started().later(27.0).with_result(0, 10).with_result(1, 20);
    let decision = decide(&seen);
    assert_eq!(decision.status.phase, Phase::Succeeded);
    assert_eq!(finished(&decision), (reasons::COMPLETED, "30 images, all answered; p95 2.0ms".into()));
    assert_eq!(decision.status.result.messages.as_ref().unwrap().received, 30);
    assert_eq!(decision.announcements.len(), 1);
    assert!(matches!(decision.steps[..], [Step::KeepHistograms(_)]), "first the result, then the rest");

    let after = decide(&seen.clone().after(0.0, &decision));
    let numbers_are_kept_once = Step::DropResults(vec![0, 1]);
    assert_eq!(after.steps, [Step::RemoveJobs(vec![0, 1]), Step::ReleasePipeline, numbers_are_kept_once]);
    assert_eq!(after.status, decision.status);
    let mut tidy = seen.after(1.0, &decision);
    tidy.jobs.clear();
    tidy.pipeline = Some(pipeline());
    for report in &mut tidy.reports {
        *report.status.as_mut().unwrap() = ProducerReportStatus { summed: true, ..ProducerReportStatus::default() };
    }
    assert!(decide(&tidy).steps.is_empty());
}

#[test]
fn a_failed_producer_ends_the_test_and_keeps_its_job() {
    let seen = started().with_pod(
        1,
        json!({ "phase": "Failed", "containerStatuses": [{
        "name": "producer", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "terminated": { "exitCode": 1, "reason": "Error", "message": "log line\nthe broker is gone\n" } },
    }] }),
    );
    let decision = decide(&seen);
    let why = "producer 1 failed: pod test-producer-1-x: Error: the broker is gone";
    assert_eq!(finished(&decision), (reasons::PRODUCER_FAILED, why.into()));
    let after = decide(&seen.after(0.1, &decision));
    assert_eq!(after.steps, [Step::RemoveJobs(vec![0]), Step::ReleasePipeline]);
}

#[test]
fn a_job_that_ends_without_a_result_has_failed_and_one_with_a_result_has_not() {
    let seen = started().with_job_condition(0, "Complete", "CompletionsReached");
    assert_eq!(finished(&decide(&seen)).1, "producer 0 failed: it ended without a result");
    let seen = started().with_job_condition(0, "Failed", "DeadlineExceeded");
    assert_eq!(finished(&decide(&seen)).1, "producer 0 failed: DeadlineExceeded");
    assert_eq!(decide(&seen.with_result(0, 10)).status.phase, Phase::WarmingUp);
}

#[test]
fn who_does_not_report_in_time_has_failed() {
    let seen = started().with_result(0, 10);
    assert_eq!(decide(&seen.clone().later(96.4)).status.phase, Phase::Draining);
    let decision = decide(&seen.later(96.6));
    let (reason, message) = finished(&decision);
    assert_eq!(reason, reasons::PRODUCER_FAILED);
    assert!(message.starts_with("producer 1 did not report within 60 s after the drain time; 1 of 2 did"), "{message}");
    assert_eq!(decision.status.result.messages.unwrap().received, 10, "what is there is shown");
}

#[test]
fn after_ready_timeout_it_fails_with_what_the_pod_waits_for() {
    let (seen, _) = accepted();
    let seen = seen.with_ready(0).with_pod(
        1,
        json!({ "phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available",
    }] }),
    );
    assert_eq!(decide(&seen).status.phase, Phase::Starting);
    let (reason, message) = finished(&decide(&seen.later(30.0)));
    assert_eq!(reason, reasons::READY_TIMEOUT);
    let expected =
        "1 of 2 producers are ready; producer 1 waits: pod test-producer-1-x: Unschedulable: 0/1 nodes are available";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn what_a_producer_says_is_repeated_unless_its_pod_says_what_is_wrong() {
    let (seen, _) = accepted();
    let mut seen = seen.with_ready(0);
    seen.report_mut(1).status = Some(ProducerReportStatus {
        waiting: Some(Waiting { reason: "NoTopic".to_owned(), message: "Kafka has no topic iot_images".to_owned() }),
        ..ProducerReportStatus::default()
    });
    let said = "1 of 2 producers are ready; producer 1 waits: Kafka has no topic iot_images";
    assert_eq!(decide(&seen).status.message.as_deref(), Some(said));
    let (reason, message) = finished(&decide(&seen.clone().later(30.0)));
    assert_eq!(reason, reasons::READY_TIMEOUT);
    assert_eq!(message, format!("{said}; gave up after readyTimeout (30s)"));

    let of_pod = json!({ "phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available",
    }] });
    let message = decide(&seen.with_pod(1, of_pod)).status.message.unwrap();
    assert!(message.ends_with("producer 1 waits: pod test-producer-1-x: Unschedulable: 0/1 nodes are available"));
}

#[test]
fn a_test_being_deleted_is_left_alone() {
    let mut seen = started();
    seen.load_test.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(begin()));
    seen.jobs.clear();
    let decision = decide(&seen);
    assert!(decision.steps.is_empty() && decision.look_again.is_none());
    assert_eq!(decision.status, seen.status());
}

#[test]
fn a_histogram_that_cannot_be_read_is_a_failure_and_no_panic() {
    let mut seen = started().with_result(0, 10).with_result(1, 10);
    seen.report_mut(1).status.as_mut().unwrap().result.as_mut().unwrap().latency = "AAAA".into();
    let (reason, message) = finished(&decide(&seen));
    assert_eq!(reason, reasons::PRODUCER_FAILED);
    assert!(message.contains("report cannot be read"), "{message}");
}

#[test]
fn a_change_of_the_pipeline_ends_the_test_at_once_and_explains_a_failure_of_a_producer() {
    let mut seen = started().later(3.0).with_result(0, 10).with_job_condition(1, "Failed", "DeadlineExceeded");
    seen.pipeline.as_mut().unwrap().status.as_mut().unwrap().revision = Some("another".into());
    let decision = decide(&seen);
    let (reason, message) = finished(&decision);
    assert_eq!(reason, reasons::PIPELINE_CHANGED);
    assert!(message.starts_with("a change of the Pipeline's spec or of its images was applied during"), "{message}");
    assert_eq!(decision.status.result.messages.unwrap().received, 10, "what is there is shown");
}

#[test]
fn a_change_that_is_held_back_changes_nothing() {
    let mut seen = started().later(3.0);
    seen.pipeline.as_mut().unwrap().metadata.generation = Some(4);
    assert_eq!(decide(&seen).status.phase, Phase::WarmingUp);
}

/// Suspended at any moment before the common start.
fn suspended(mut seen: Observation) -> Decision {
    seen.load_test.spec.suspend = true;
    let decision = decide(&seen);
    let status = &decision.status;
    assert_eq!((status.phase, &status.starting_since, status.ready_producers), (Phase::Queued, &None, None));
    decision
}

#[test]
fn a_test_suspended_while_it_starts_gives_everything_back() {
    assert!(suspended(new_test().with_pipeline()).steps.is_empty());
    assert_eq!(suspended(new_test().with_pipeline().with_lock()).steps, [Step::ReleasePipeline]);
    let all = [Step::RemoveJobs(vec![0, 1]), Step::RemoveReports(vec![0, 1]), Step::ReleasePipeline];
    assert_eq!(
        suspended(new_test().with_pipeline().with_lock().with_producers()).steps,
        all,
        "no status was written yet"
    );
    assert_eq!(suspended(accepted().0.with_ready(0)).steps, all);

    let mut seen = started();
    seen.load_test.spec.suspend = true;
    assert_eq!(decide(&seen).status.phase, Phase::WarmingUp, "after the common start it does nothing");
}

#[test]
fn a_pod_on_a_lost_node_is_not_waited_for_and_the_result_says_so() {
    let (mut foreign, _) = accepted();
    foreign = foreign.with_pod(0, json!({ "phase": "Running" }));
    let mut pod = foreign.pods.remove(0);
    pod.spec.get_or_insert_default().node_name = Some("node1".into());
    let gone = begin() - std::time::Duration::from_secs(60);
    pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(gone));
    let seen = Observation { pods: vec![pod], ..new_test().with_pipeline() };
    let decision = decide(&seen);
    assert!(decision.steps.contains(&Step::TakePipeline), "{:?}", decision.steps);
    assert_eq!(decision.status.result.warnings.len(), 1);
    assert!(decision.announcements.iter().any(|news| news.warning && news.note.contains("node node1 does not say")));

    // It is in the result, although the node has come back meanwhile.
    let seen = Observation { pods: vec![], ..seen.with_lock().with_producers().after(0.2, &decision) };
    let seen = seen.with_ready(0).with_ready(1);
    let start = decide(&seen);
    let seen = seen.after(27.0, &start).with_result(0, 10).with_result(1, 20);
    assert_eq!(decide(&seen).status.result.warnings[0].reason, "NodeLost");
}

#[test]
fn jobs_are_removed_though_the_reports_are_gone_already() {
    let seen = started().later(27.0).with_result(0, 10).with_result(1, 20);
    let decision = decide(&seen);
    let mut seen = seen.after(0.0, &decision);
    seen.reports.clear();
    assert_eq!(decide(&seen).steps, [Step::RemoveJobs(vec![0, 1]), Step::ReleasePipeline]);
    let failed = seen.with_job_condition(1, "Failed", "BackoffLimitExceeded");
    assert_eq!(decide(&failed).steps, [Step::RemoveJobs(vec![0]), Step::ReleasePipeline]);
}

#[test]
fn a_pipeline_that_is_changed_while_the_producers_start_is_not_measured_before_it_is_ready_again() {
    let mut seen = accepted().0.with_ready(0).with_ready(1);
    let ready = seen.pipeline.clone();
    seen.pipeline.as_mut().unwrap().status.as_mut().unwrap().conditions[0].status = "False".into();
    let decision = decide(&seen);
    assert_eq!((decision.status.phase, decision.status.start_time.is_none()), (Phase::Starting, true));
    let message = "2 of 2 producers are ready; Pipeline \"cifar\" is not ready any more: Checked: ";
    assert_eq!(decision.status.message.as_deref(), Some(message));
    assert!(decide(&Observation { pipeline: ready, ..seen }).status.start_time.is_some());
}
