//! An object that cannot be read harms no other, and says what is wrong with it.

use std::time::Duration;

use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tailrace_crds::{Experiment, LoadTest, Pipeline, ProducerReport, load_test::Phase};
use tailrace_operator::{load_test, run_controllers};

use crate::{
    definitions::namespace,
    support::{Kind, Namespace, Operator},
};

/// Any object, as it is stored.
fn raw<K: Kind>(namespace: &Namespace) -> Api<DynamicObject> {
    Api::namespaced_with(namespace.client.clone(), &namespace.name, &ApiResource::erase::<K>(&()))
}

pub async fn create<K: Kind>(namespace: &Namespace, name: &str, spec: Value) {
    let mut object = DynamicObject::new(name, &ApiResource::erase::<K>(&()));
    object.data = json!({ "spec": spec });
    raw::<K>(namespace).create(&PostParams::default(), &object).await.unwrap();
}

pub fn a_test(think_time: &str) -> Value {
    json!({ "pipelineRef": { "name": "cifar" }, "producers": 1, "load": { "closed": { "thinkTime": think_time } } })
}

/// The Pipeline `cifar`, ready for whoever does not reconcile it.
pub async fn ready_pipeline(namespace: &Namespace) {
    create::<Pipeline>(namespace, "cifar", json!({})).await;
    let status = json!({
        "observedGeneration": 1,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "Checked", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
        "kafka": { "bootstrapServers": "cifar-kafka:9092" },
    });
    namespace.patch_status::<Pipeline>("cifar", status).await.unwrap();
}

/// The conditions of an object, once it has been told that it cannot be read.
async fn told<K: Kind>(namespace: &Namespace, name: &str) -> Vec<Condition> {
    for _ in 0..1_200 {
        let object = raw::<K>(namespace).get(name).await.unwrap();
        let conditions = object.data.pointer("/status/conditions").cloned().unwrap_or(json!([]));
        let conditions: Vec<Condition> = serde_json::from_value(conditions).unwrap();
        if conditions.iter().any(|condition| condition.reason == "Unreadable") {
            return conditions;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} {name} was not told", K::kind(&()));
}

async fn version<K: Kind>(namespace: &Namespace, name: &str) -> Option<String> {
    raw::<K>(namespace).get(name).await.unwrap().resource_version()
}

#[tokio::test]
async fn a_mistyped_duration_stops_no_other_test() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    create::<LoadTest>(&namespace, "bad", a_test("soon")).await;
    create::<LoadTest>(&namespace, "good", a_test("33ms")).await;
    let operator = Operator::start(&namespace, load_test::controller);
    namespace.until::<Job>("good-producer-0", "there", |_| true).await;

    let conditions = told::<LoadTest>(&namespace, "bad").await;
    let status = |type_: &str| conditions.iter().find(|condition| condition.type_ == type_).unwrap();
    assert_eq!((status("Finished").status.as_str(), status("Stalled").status.as_str()), ("False", "True"));
    let message = &status("Succeeded").message;
    assert!(message.starts_with("spec.load.closed.thinkTime: \"soon\" is not a duration"), "{message}");
    assert!(message.contains("write a number with a unit, such as 250ms"), "{message}");
    namespace.until_event("bad", "Warning Unreadable: spec.load.closed.thinkTime").await;

    // It is told once, and not again by an operator that starts anew, for whom the others go on just as well.
    let before = version::<LoadTest>(&namespace, "bad").await;
    operator.kill().await;
    let _restarted = Operator::start(&namespace, load_test::controller);
    create::<LoadTest>(&namespace, "later", a_test("1ms")).await;
    let queued = |test: &LoadTest| test.status.as_ref().is_some_and(|status| status.message.is_some());
    namespace.until::<LoadTest>("later", "in the queue", queued).await;
    namespace.delete::<LoadTest>("good").await;
    namespace.until::<Job>("later-producer-0", "there", |_| true).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(version::<LoadTest>(&namespace, "bad").await, before);
    let events = namespace.events("bad").await;
    assert_eq!(events.iter().filter(|event| event.contains("Unreadable")).count(), 1, "{events:?}");

    // As soon as it is corrected it takes its place in the line.
    let right = Patch::Merge(json!({ "spec": { "load": { "closed": { "thinkTime": "33ms" } } } }));
    raw::<LoadTest>(&namespace).patch("bad", &PatchParams::default(), &right).await.unwrap();
    let in_line = |test: &LoadTest| {
        let message = test.status.as_ref().and_then(|status| status.message.as_deref());
        message.is_some_and(|message| message.starts_with("waits for LoadTest \"later\""))
    };
    namespace.until::<LoadTest>("bad", "in the line", in_line).await;
}

#[tokio::test]
async fn every_kind_is_told_which_field_is_wrong_and_what_to_write() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    create::<Pipeline>(&namespace, "unknown", json!({ "deletionPolicy": "Shred" })).await;
    create::<Pipeline>(&namespace, "mistyped", json!({ "topics": { "images": { "partitions": "twelve" } } })).await;
    create::<LoadTest>(&namespace, "missing", json!({ "producers": 1, "load": { "closed": {} } })).await;
    let arrivals = json!({ "open": { "ratePerProducer": 1, "arrivals": "Bursts" } });
    create::<LoadTest>(
        &namespace,
        "odd",
        json!({ "pipelineRef": { "name": "cifar" }, "producers": 1, "load": arrivals }),
    )
    .await;
    let template = json!({ "pipelineRef": { "name": "cifar" }, "load": { "closed": {} } });
    create::<Experiment>(
        &namespace,
        "negative",
        json!({ "sweep": { "producers": [1] }, "coolDown": "-5s", "template": template }),
    )
    .await;
    let _operator = Operator::start(&namespace, run_controllers);

    let message = |conditions: Vec<Condition>| {
        conditions.into_iter().find(|condition| condition.reason == "Unreadable").unwrap().message
    };
    let cases = [
        (
            message(told::<Pipeline>(&namespace, "unknown").await),
            "spec.deletionPolicy",
            "expected `Retain` or `Delete`",
        ),
        (message(told::<Pipeline>(&namespace, "mistyped").await), "spec.topics.images.partitions", "expected i32"),
        (message(told::<LoadTest>(&namespace, "missing").await), "spec", "missing field `pipelineRef`"),
        (message(told::<LoadTest>(&namespace, "odd").await), "arrivals", "expected `Constant` or `Poisson`"),
        (message(told::<Experiment>(&namespace, "negative").await), "spec.coolDown", "write a number with a unit"),
    ];
    for (message, field, advice) in cases {
        assert!(message.starts_with("spec") && message.contains(field) && message.contains(advice), "{message}");
    }

    // A test on a Pipeline that cannot be read says so, and goes on when it can.
    create::<LoadTest>(
        &namespace,
        "on-unknown",
        json!({ "pipelineRef": { "name": "unknown" }, "producers": 1, "load": { "closed": {} } }),
    )
    .await;
    let says = |text: &'static str| {
        move |test: &LoadTest| {
            let message = test.status.as_ref().and_then(|status| status.message.as_deref());
            message.is_some_and(|message| message.contains(text))
        }
    };
    let cannot = says("Pipeline \"unknown\" cannot be read: Unknown variant Shred");
    namespace.until::<LoadTest>("on-unknown", "told why it waits", cannot).await;
    let right = Patch::Merge(json!({ "spec": { "deletionPolicy": "Delete" } }));
    raw::<Pipeline>(&namespace).patch("unknown", &PatchParams::default(), &right).await.unwrap();
    namespace.until::<LoadTest>("on-unknown", "told why it waits", says("Pipeline \"unknown\" is not ready")).await;
}

#[tokio::test]
async fn a_report_that_cannot_be_read_fails_its_own_test_alone() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    create::<LoadTest>(&namespace, "hurt", a_test("0s")).await;
    create::<LoadTest>(&namespace, "next", a_test("0s")).await;
    let _operator = Operator::start(&namespace, load_test::controller);
    namespace.until::<Job>("hurt-producer-0", "there", |_| true).await;
    let nonsense = Patch::Merge(json!({ "status": { "readyAt": "yesterday" } }));
    raw::<ProducerReport>(&namespace)
        .patch_status("hurt-producer-0", &PatchParams::default(), &nonsense)
        .await
        .unwrap();
    let failed = |test: &LoadTest| test.status.as_ref().is_some_and(|status| status.phase == Phase::Failed);
    let hurt = namespace.until::<LoadTest>("hurt", "failed", failed).await;
    let message = hurt.status.unwrap().message.unwrap();
    assert!(message.contains("producer 0 failed: its report cannot be read"), "{message}");
    namespace.until::<Job>("next-producer-0", "there", |_| true).await;
}

#[tokio::test]
async fn an_experiment_whose_load_test_cannot_be_read_ends_with_the_reason() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let template = json!({ "pipelineRef": { "name": "cifar" }, "load": { "closed": {} } });
    create::<Experiment>(&namespace, "sweep", json!({ "sweep": { "producers": [1] }, "template": template })).await;
    let _operator = Operator::start(&namespace, run_controllers);
    namespace.until::<LoadTest>("sweep-1-01-1", "there", |_| true).await;
    let wrong = Patch::Merge(json!({ "spec": { "warmup": "soon" } }));
    raw::<LoadTest>(&namespace).patch("sweep-1-01-1", &PatchParams::default(), &wrong).await.unwrap();
    let over = |experiment: &Experiment| experiment.status.as_ref().is_some_and(|status| status.phase.is_final());
    let experiment = namespace.until::<Experiment>("sweep", "over", over).await;
    let message = experiment.status.unwrap().message.unwrap();
    assert!(message.contains("LoadTest \"sweep-1-01-1\" cannot be read") && message.contains("soon"), "{message}");
}
