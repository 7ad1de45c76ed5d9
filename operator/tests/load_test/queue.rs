//! Tests of one Pipeline run one at a time.

use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::Status,
};
use kube::{
    ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};
use tailrace_crds::{
    LoadTest, Pipeline,
    load_test::{Phase, Warning},
};
use tailrace_operator::load_test::{
    apply::apply,
    decide::{Step, decide},
    observe::observe,
};
use tokio::time::{Duration, sleep};

use crate::{
    producers::{Run, load_test, namespace, operator, play, ready_pipeline, until_finished, until_phase},
    support::{Namespace, Operator},
};

#[tokio::test]
async fn five_tests_applied_at_once_run_one_at_a_time_in_their_order() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    // Created in another order than that of their names, but within a second, which is all that the API server keeps.
    let names = ["sweep-1", "sweep-2", "sweep-3", "sweep-4", "sweep-5"];
    for name in ["sweep-3", "sweep-1", "sweep-5", "sweep-4", "sweep-2"] {
        load_test(&namespace, name, 1).await;
    }
    let mut order: Vec<(_, _)> =
        namespace.list::<LoadTest>().await.iter().map(|test| (test.creation_timestamp(), test.name_any())).collect();
    order.sort();
    let order: Vec<_> = order.into_iter().map(|(_, name)| name).collect();
    let _operator = operator(&namespace);

    let mut last_end = None;
    for (place, name) in order.iter().enumerate() {
        until_phase(&namespace, name, Phase::Starting).await;
        for later in &order[place + 1..] {
            let test: LoadTest = namespace.get(later).await;
            assert_eq!(test.status.unwrap_or_default().phase, Phase::Queued, "{later} while {name} runs");
        }
        let start = play(&namespace, name, &[Run::of(10, 1_000)]).await;
        assert!(last_end < Some(start), "{name} started before the end of the one before it");
        let finished = until_finished(&namespace, name).await.status.unwrap();
        assert_eq!(finished.phase, Phase::Succeeded, "{:?}", finished.message);
        last_end = finished.completion_time.map(|end| end.0);
    }
    assert_eq!(order.len(), names.len());
    let free = |pipeline: &Pipeline| pipeline.status.as_ref().is_some_and(|status| status.active_load_test.is_none());
    namespace.until::<Pipeline>("cifar", "free", free).await;
}

#[tokio::test]
async fn the_pipeline_names_the_test_that_has_it_and_others_know_their_place() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    let first = load_test(&namespace, "a", 1).await;
    until_phase(&namespace, "a", Phase::Starting).await;
    let pipeline: Pipeline = namespace.get("cifar").await;
    let active = pipeline.status.unwrap().active_load_test.unwrap();
    assert_eq!((active.name, Some(active.uid)), ("a".into(), first.metadata.uid));

    load_test(&namespace, "b", 1).await;
    load_test(&namespace, "c", 1).await;
    let message = |test: &LoadTest| test.status.as_ref().and_then(|status| status.message.clone());
    let third = "waits for LoadTest \"a\" on Pipeline \"cifar\": 2 of 2 in line";
    namespace.until::<LoadTest>("c", "second in line", |test| message(test).as_deref() == Some(third)).await;
}

#[tokio::test]
async fn the_lock_of_a_test_that_is_gone_is_taken_over() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let gone = json!({ "activeLoadTest": { "name": "gone", "uid": "0000" } });
    namespace.patch_status::<Pipeline>("cifar", gone).await.unwrap();
    let _operator = operator(&namespace);
    // It has the name, but is not the same.
    load_test(&namespace, "gone", 1).await;
    play(&namespace, "gone", &[Run::of(10, 1_000)]).await;
    assert_eq!(until_finished(&namespace, "gone").await.status.unwrap().phase, Phase::Succeeded);
}

#[tokio::test]
async fn the_next_test_waits_for_the_end_of_the_pods_of_a_deleted_one() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let operator = operator(&namespace);
    load_test(&namespace, "deleted", 1).await;
    until_phase(&namespace, "deleted", Phase::Starting).await;
    // A finalizer keeps its Job for a while, as a node that does not answer keeps a pod.
    let keep = json!({ "metadata": { "finalizers": ["example.com/keep"] } });
    let jobs = namespace.api::<Job>();
    namespace.until::<Job>("deleted-producer-0", "there", |_| true).await;
    jobs.patch("deleted-producer-0", &Default::default(), &kube::api::Patch::Merge(&keep)).await.unwrap();
    namespace.delete::<LoadTest>("deleted").await;
    load_test(&namespace, "next", 1).await;

    let busy = |test: &LoadTest| {
        let message = test.status.as_ref().and_then(|status| status.message.clone());
        message
            .is_some_and(|message| message.starts_with("1 producer of another test, or of an earlier start, still run"))
    };
    namespace.until::<LoadTest>("next", "waiting for the pods of the other", busy).await;
    let release = json!({ "metadata": { "finalizers": null } });
    jobs.patch("deleted-producer-0", &Default::default(), &kube::api::Patch::Merge(&release)).await.unwrap();
    play(&namespace, "next", &[Run::of(10, 1_000)]).await;
    operator.kill().await;
}

/// A pod of a deleted test on a node whose kubelet does not answer: it is bound, and nobody confirms its end.
async fn pod_on_a_lost_node(namespace: &Namespace, test: &str) -> String {
    load_test(namespace, test, 1).await;
    let of_test = ListParams::default().labels(&format!("tailrace.dev/load-test={test}"));
    let pods = namespace.api::<Pod>();
    let pod = loop {
        match pods.list(&of_test).await.unwrap().items.first() {
            Some(pod) => break pod.name_any(),
            None => sleep(Duration::from_millis(50)).await,
        }
    };
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": { "name": pod },
        "target": { "apiVersion": "v1", "kind": "Node", "name": "node7" },
    });
    pods.create_subresource::<Value, Status>("binding", &pod, &PostParams::default(), &binding).await.unwrap();
    namespace.patch_status::<Pod>(&pod, json!({ "phase": "Running" })).await.unwrap();
    namespace.delete::<LoadTest>(test).await;
    let ends = |pod: &Pod| pod.metadata.deletion_timestamp.is_some();
    namespace.until::<Pod>(&pod, "on its way out", ends).await;
    pod
}

#[tokio::test]
async fn a_pod_on_a_lost_node_counts_as_gone_after_its_grace_and_the_next_test_says_so() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    for (lost, next) in [("said", "next"), ("unsaid", "last")] {
        let pod = pod_on_a_lost_node(&namespace, lost).await;
        load_test(&namespace, next, 1).await;
        let message = |test: &LoadTest| test.status.as_ref().and_then(|status| status.message.clone());
        let busy = format!("\"{lost}-producer-0\"");
        let waits = |test: &LoadTest| message(test).is_some_and(|message| message.contains(&busy));
        namespace.until::<LoadTest>(next, "waiting for the pod", waits).await;
        if lost == "said" {
            namespace.patch_status::<Pod>(&pod, json!({ "reason": "NodeLost" })).await.unwrap();
        }
        // Otherwise half a minute after the grace of two seconds.
        until_phase(&namespace, next, Phase::Starting).await;
        play(&namespace, next, &[Run::of(10, 1_000)]).await;
        let status = until_finished(&namespace, next).await.status.unwrap();
        assert_eq!(status.phase, Phase::Succeeded);
        let warned = |warning: &Warning| {
            warning.reason == "NodeLost" && warning.message.contains(&pod) && warning.message.contains("node node7")
        };
        assert!(status.result.warnings.iter().any(warned), "{:?}", status.result.warnings);
        namespace.until_event(next, "Warning NodeLost").await;
    }
}

#[tokio::test]
async fn of_two_operators_that_decide_at_the_same_time_one_gets_a_conflict() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let (a, b) = (load_test(&namespace, "a", 1).await, load_test(&namespace, "b", 1).await);
    let context = Operator::context(&namespace);
    // The second operator looks before the first one writes; it does not know of the first test.
    let first = observe(&context, &a).await.unwrap().unwrap();
    let mut second = observe(&context, &b).await.unwrap().unwrap();
    second.others.clear();
    let (decided_first, decided_second) = (decide(&first), decide(&second));
    for decision in [&decided_first, &decided_second] {
        assert!(decision.steps.contains(&Step::TakePipeline));
    }

    apply(&context, &first, &decided_first).await.unwrap();
    let error = apply(&context, &second, &decided_second).await.unwrap_err();
    assert!(error.error.is_conflict(), "{error:?}");

    let pipeline: Pipeline = namespace.get("cifar").await;
    assert_eq!(pipeline.status.unwrap().active_load_test.unwrap().name, "a");
    assert_eq!(namespace.list::<Job>().await.len(), 1, "the second test must not have started anything");
    assert_eq!(namespace.get::<LoadTest>("b").await.status, None);
}

#[tokio::test]
async fn two_operators_that_both_believe_to_lead_start_each_test_once() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    for name in ["a", "b"] {
        load_test(&namespace, name, 2).await;
    }
    let _operators = [operator(&namespace), operator(&namespace)];
    for name in ["a", "b"] {
        play(&namespace, name, &[Run::of(10, 1_000), Run::of(10, 2_000)]).await;
        let finished = until_finished(&namespace, name).await.status.unwrap();
        assert_eq!(finished.phase, Phase::Succeeded);
        assert_eq!(finished.result.messages.unwrap().received, 20);
        sleep(Duration::from_millis(200)).await;
    }
}
