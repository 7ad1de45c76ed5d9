//! Before the producers start: the Pipeline, the queue, and names that are taken.

use super::*;

#[test]
fn without_a_pipeline_it_waits_and_says_so_once() {
    let seen = new_test();
    let decision = decide(&seen);
    assert_eq!(decision.status.phase, Phase::Queued);
    assert_eq!(decision.status.waiting_since, Some(MicroTime(begin())));
    assert_eq!(decision.announcements.len(), 1);
    assert!(decision.announcements[0].warning);
    assert_eq!(decision.announcements[0].reason, reasons::PIPELINE_NOT_FOUND);
    assert!(decision.steps.is_empty());

    let again = decide(&seen.after(5.0, &decision));
    assert_eq!(again.status, decision.status, "nothing new, so nothing is written");
    assert!(again.announcements.is_empty());
}

#[test]
fn after_start_timeout_it_fails_with_the_reason_why_it_waited() {
    let seen = new_test();
    let seen = seen.clone().after(59.0, &decide(&seen));
    assert_eq!(decide(&seen).status.phase, Phase::Queued);
    assert_eq!(decide(&seen).look_again, Some(Duration::from_secs(1)));
    let decision = decide(&seen.later(1.0));
    assert_eq!(decision.status.phase, Phase::Failed);
    assert_eq!(finished(&decision).0, reasons::PIPELINE_NOT_FOUND);
}

#[test]
fn a_pipeline_that_was_changed_and_not_looked_at_is_not_ready() {
    let mut seen = new_test().with_pipeline();
    seen.pipeline.as_mut().unwrap().metadata.generation = Some(4);
    assert_eq!(decide(&seen).announcements[0].reason, reasons::PIPELINE_NOT_READY);
}

#[test]
fn the_first_in_line_takes_the_pipeline_before_it_starts_anything_and_after_it_has_its_names() {
    let decision = decide(&new_test().with_pipeline());
    let expected = [Step::PrepareProducers(vec![0, 1]), Step::TakePipeline, Step::StartProducers(vec![0, 1])];
    assert_eq!(decision.steps, expected);
    assert_eq!(decision.status.phase, Phase::Starting);
    assert!(is_true(&decision.status.conditions, types::ACCEPTED));
}

#[test]
fn killed_after_the_lock_it_goes_on_without_taking_it_again() {
    let decision = decide(&new_test().with_pipeline().with_lock());
    assert_eq!(decision.steps, [Step::PrepareProducers(vec![0, 1]), Step::StartProducers(vec![0, 1])]);
}

#[test]
fn killed_between_two_jobs_it_makes_the_missing_one() {
    let mut seen = new_test().with_pipeline().with_lock().with_producers();
    seen.jobs.truncate(1);
    assert_eq!(decide(&seen).steps, [Step::PrepareProducers(vec![1]), Step::StartProducers(vec![1])]);
}

fn taken(holder: Holder) -> Taken {
    Taken { holder, sentence: "Job \"test-producer-0\" stands there".into() }
}

#[test]
fn what_an_earlier_test_has_left_is_waited_for_without_the_pipeline_and_not_for_ever() {
    let mut seen = new_test().with_pipeline().with_lock();
    seen.taken = Some(taken(Holder::Orphan));
    let waiting = decide(&seen);
    assert_eq!((waiting.status.phase, &waiting.steps[..]), (Phase::Queued, &[Step::ReleasePipeline][..]));
    assert_eq!(waiting.announcements[0].reason, reasons::NAME_TAKEN);
    let end = decide(&seen.after(60.0, &waiting));
    assert_eq!(end.status.phase, Phase::Failed);
    let message = end.status.message.unwrap();
    assert_eq!(message, "Job \"test-producer-0\" stands there; gave up after startTimeout (60s)");
}

#[test]
fn others_go_before_a_test_that_waits_for_a_name() {
    let mut seen = new_test().with_pipeline();
    seen.taken = Some(taken(Holder::Leaving));
    let waits = LoadTest { status: Some(decide(&seen).status), ..load_test("older", 0) };
    let mut other = new_test().with_pipeline();
    other.others = vec![waits.into()];
    assert!(decide(&other).steps.contains(&Step::TakePipeline));
}

#[test]
fn a_name_of_somebody_else_ends_the_test_at_once() {
    let mut seen = new_test().with_pipeline();
    seen.taken = Some(taken(Holder::Stranger));
    assert_eq!(decide(&seen).status.phase, Phase::Failed);
}

#[test]
fn behind_another_test_its_start_timeout_does_not_run() {
    let mut seen = new_test();
    seen.others.push(load_test("older", 0).into());
    let seen = seen.clone().after(1_000.0, &decide(&seen));
    let decision = decide(&seen);
    assert_eq!(decision.status.phase, Phase::Queued);
    assert_eq!(decision.status.waiting_since, None);
    let message = "waits for LoadTest \"older\" on Pipeline \"cifar\": 2 of 2 in line";
    assert_eq!(decision.status.message.as_deref(), Some(message));
}

#[test]
fn while_the_pods_of_another_test_run_it_waits() {
    let (mut seen, _) = accepted();
    let job = seen.jobs.remove(0);
    let mut foreign = Observation { jobs: vec![job], ..new_test().with_pipeline() };
    foreign.jobs[0].metadata.owner_references.as_mut().unwrap()[0].uid = "uid-of-a-deleted-test".into();
    let decision = decide(&foreign);
    assert_eq!(decision.announcements[0].reason, reasons::PIPELINE_BUSY);
    assert!(decision.steps.is_empty());
}

#[test]
fn the_next_test_waits_until_what_was_held_back_is_applied() {
    let mut seen = new_test().with_pipeline();
    let status = seen.pipeline.as_mut().unwrap().status.as_mut().unwrap();
    let mut held = status.conditions[0].clone();
    held.type_ = types::ROLLOUT_HELD.into();
    status.conditions.push(held);
    let decision = decide(&seen);
    assert_eq!((decision.steps.len(), decision.announcements[0].reason.as_str()), (0, reasons::PIPELINE_NOT_READY));
    assert!(decision.status.message.unwrap().ends_with("a change that was held back is applied first"));
}

#[test]
fn a_test_that_has_to_wait_again_keeps_no_pipeline_from_others() {
    let mut seen = new_test().with_pipeline().with_lock().with_producers();
    seen.pipeline.as_mut().unwrap().metadata.generation = Some(4);
    let decision = decide(&seen);
    assert_eq!(decision.announcements[0].reason, reasons::PIPELINE_NOT_READY);
    assert_eq!(decision.steps.last(), Some(&Step::ReleasePipeline));
}
