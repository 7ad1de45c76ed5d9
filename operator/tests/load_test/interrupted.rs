//! What a user says while a test starts, between any two writes of the operator: nothing of the start is left.

use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tailrace_crds::{
    LoadTest, Pipeline, ProducerReport,
    conditions::{reasons, types},
    load_test::Phase,
};
use tailrace_operator::{conditions::find, load_test::controller};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    producers::{Run, load_test, namespace, operator, play, ready_pipeline, until_finished},
    support::{Namespace, Operator},
};

/// Lock, account, role, binding, report, Job, status and event of the acceptance. After these the operator waits.
const WRITES: usize = 8;
/// How long it may take until it waits.
const QUIET: Duration = Duration::from_secs(5);

/// How long something may be left.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many namespaces are played in at once.
const AT_ONCE: usize = 6;

/// What a user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Suspend,
    Abort,
    Delete,
}

async fn say(namespace: &Namespace, word: Word) {
    let spec = match word {
        Word::Suspend => json!({ "suspend": true }),
        Word::Abort => json!({ "abort": true }),
        Word::Delete => return namespace.delete::<LoadTest>("test").await,
    };
    change(namespace, spec).await;
}

async fn change(namespace: &Namespace, spec: serde_json::Value) {
    let patch = Patch::Merge(json!({ "spec": spec }));
    namespace.api::<LoadTest>().patch("test", &PatchParams::default(), &patch).await.unwrap();
}

/// What is left of the start, in words.
async fn left(namespace: &Namespace, word: Word) -> Vec<String> {
    let mut left = vec![];
    let status = namespace.api::<LoadTest>().get_opt("test").await.unwrap().and_then(|test| test.status);
    let accepted = status.as_ref().and_then(|status| Some(find(&status.conditions, types::ACCEPTED)?.reason.clone()));
    let phase = status.map(|status| status.phase);
    match word {
        Word::Suspend if (phase, accepted.as_deref()) == (Some(Phase::Queued), Some(reasons::SUSPENDED)) => {}
        Word::Abort if phase == Some(Phase::Aborted) => {}
        Word::Delete if phase.is_none() => {}
        _ => left.push(format!("phase {phase:?}, accepted {accepted:?}")),
    }
    left.extend(namespace.list::<Job>().await.into_iter().map(|job| format!("Job {:?}", job.metadata.name)));
    if word != Word::Abort {
        let reports = namespace.list::<ProducerReport>().await;
        left.extend(reports.into_iter().map(|report| format!("report {:?}", report.metadata.name)));
    }
    let pipeline = namespace.get::<Pipeline>("cifar").await.status.unwrap();
    left.extend(pipeline.active_load_test.map(|test| format!("lock of {}", test.name)));
    left
}

/// Until nothing is left, and stays so.
async fn until_nothing_is_left(namespace: &Namespace, word: Word, when: &str) {
    let started = Instant::now();
    let mut quiet = 0;
    while quiet < 3 {
        let left = left(namespace, word).await;
        quiet = if left.is_empty() { quiet + 1 } else { 0 };
        assert!(left.is_empty() || started.elapsed() < PATIENCE, "{word:?} {when}: {left:?}");
        sleep(Duration::from_millis(300)).await;
    }
}

/// The word falls after so many writes; the operator goes on, or is dead and another one follows.
async fn interrupted(word: Word, writes: usize, dies: bool) {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    load_test(&namespace, "test", 1).await;
    let (first, held_up) = Operator::held_up_after(writes, &namespace, controller);
    let _ = timeout(QUIET, held_up.reached.notified()).await;
    let mut first = Some(first);
    if dies && let Some(first) = first.take() {
        first.kill().await;
    }
    say(&namespace, word).await;
    held_up.may_go_on.cancel();
    let _second = dies.then(|| operator(&namespace));
    until_nothing_is_left(&namespace, word, &format!("after {writes} writes, killed: {dies}")).await;
    if word == Word::Suspend {
        change(&namespace, json!({ "suspend": false })).await;
        play(&namespace, "test", &[Run::of(10, 1_000)]).await;
        assert_eq!(until_finished(&namespace, "test").await.status.unwrap().phase, Phase::Succeeded);
    }
}

async fn at_any_instant(word: Word) {
    let instants = (0..=WRITES).flat_map(|writes| [(writes, false), (writes, true)]);
    stream::iter(instants).for_each_concurrent(AT_ONCE, |(writes, dies)| interrupted(word, writes, dies)).await;
}

#[tokio::test]
async fn a_test_suspended_at_any_instant_of_its_start_has_no_jobs_and_no_pipeline_and_starts_again() {
    at_any_instant(Word::Suspend).await;
}

#[tokio::test]
async fn a_test_aborted_at_any_instant_of_its_start_has_no_jobs_and_no_pipeline() {
    at_any_instant(Word::Abort).await;
}

#[tokio::test]
async fn a_test_deleted_at_any_instant_of_its_start_leaves_no_jobs_and_a_free_pipeline() {
    at_any_instant(Word::Delete).await;
}
