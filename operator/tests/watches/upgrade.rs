//! An operator of a newer version, whose definitions ask for more than the objects have that are stored.

use k8s_openapi::api::batch::v1::Job;
use serde_json::json;
use tailrace_crds::{LoadTest, Pipeline, load_test::Phase};
use tailrace_operator::{load_test, pipeline};

use crate::{
    definitions::{loosen, tighten, until_loose},
    support::{ApiServer, Namespace, Operator},
    unreadable::{a_test, create, ready_pipeline},
};

#[tokio::test]
async fn an_upgrade_that_adds_a_required_field_stops_only_what_lacks_it() {
    let server = ApiServer::start().await;
    let namespace = server.namespace().await;
    ready_pipeline(&namespace).await;
    // The definition of before: `load` was not asked for.
    loosen(&namespace.client, "loadtests").await;
    until_loose(&namespace, "loadtests").await;
    create::<LoadTest>(&namespace, "old", json!({ "pipelineRef": { "name": "cifar" } })).await;
    create::<LoadTest>(&namespace, "complete", a_test("0s")).await;

    tighten(&namespace, "loadtests").await;
    let _operator = Operator::start(&namespace, load_test::controller);

    namespace.until::<Job>("complete-producer-0", "there", |_| true).await;
    namespace.until_event("old", "Warning Unreadable: spec: missing field `load`").await;
}

#[tokio::test]
async fn what_earlier_definitions_admitted_and_no_pod_takes_ends_in_a_condition() {
    let server = ApiServer::start().await;
    let (tests, pipelines) = (server.namespace().await, server.namespace().await);
    ready_pipeline(&tests).await;
    for plural in ["pipelines", "loadtests"] {
        loosen(&tests.client, plural).await;
        until_loose(&tests, plural).await;
    }
    let quantity = json!({ "resources": { "requests": { "cpu": "2 cores" } } });
    let label = json!({ "nodeSelector": { "a..b/c": "d" } });
    let device = json!({ "resources": { "requests": { "example.com/gpu": 1 }, "limits": { "example.com/gpu": 2 } } });
    for (name, template) in [("quantity", &quantity), ("label", &label), ("device", &device)] {
        let mut test = a_test("0s");
        test["podTemplate"] = template.clone();
        create::<LoadTest>(&tests, name, test).await;
        create::<Pipeline>(&pipelines, name, json!({ "inference": { "podTemplate": template } })).await;
    }
    create::<LoadTest>(&tests, "sound", a_test("0s")).await;
    let size = json!({ "kafka": { "managed": { "storage": { "size": "2 Gi" } } } });
    create::<Pipeline>(&pipelines, "size", size).await;

    for plural in ["pipelines", "loadtests"] {
        tighten(&tests, plural).await;
    }
    let _of_tests = Operator::start(&tests, load_test::controller);
    let _of_pipelines = Operator::start(&pipelines, pipeline::controller);

    let wrong = "spec.inference.podTemplate.resources.requests.cpu is \"2 cores\": write a number with a unit";
    until_not_ready(&pipelines, "quantity", "InvalidSpec", wrong).await;
    until_not_ready(&pipelines, "size", "InvalidSpec", "\"2 Gi\" is not a size: write a number with a unit").await;
    until_not_ready(&pipelines, "label", "Refused", "nodeSelector: Invalid value: \"a..b/c\"").await;
    until_not_ready(&pipelines, "device", "Refused", "must be equal to example.com/gpu limit").await;

    let wrong = "spec.podTemplate.resources.requests.cpu is \"2 cores\": write a number with a unit";
    until_failed(&tests, "quantity", wrong).await;
    until_failed(&tests, "label", "nodeSelector: Invalid value: \"a..b/c\"").await;
    until_failed(&tests, "device", "must be equal to example.com/gpu limit").await;
    tests.until::<Job>("sound-producer-0", "there", |_| true).await;
}

async fn until_not_ready(namespace: &Namespace, name: &str, reason: &str, message: &str) {
    let says = |pipeline: &Pipeline| {
        let conditions = pipeline.status.iter().flat_map(|status| &status.conditions);
        let mut ready = conditions.filter(|condition| condition.type_ == "Ready" && condition.status == "False");
        ready.any(|condition| condition.reason == reason && condition.message.contains(message))
    };
    namespace.until::<Pipeline>(name, reason, says).await;
}

async fn until_failed(namespace: &Namespace, name: &str, message: &str) {
    let says = |test: &LoadTest| {
        let status = test.status.iter().find(|status| status.phase == Phase::Failed);
        status.and_then(|status| status.message.as_deref()).is_some_and(|text| text.contains(message))
    };
    namespace.until::<LoadTest>(name, "failed", says).await;
}
