//! What a worker says of itself reaches the status of its Pipeline on a real API server.

use std::time::Duration;

use serde_json::json;
use tailrace_crds::{Pipeline as Resource, pipeline::WorkerStatus};

use crate::{
    kubernetes::{Namespace, Road, api_server},
    support::Pipeline,
    topics::{QUICK, delete},
};

const PIPELINE: &str = "
    apiVersion: tailrace.dev/v1alpha1
    kind: Pipeline
    metadata: {name: cifar}
    spec: {}";

async fn says(namespace: &Namespace, what: &str, wanted: impl Fn(&WorkerStatus) -> bool) {
    let of_pod = |pipeline: &Resource| pipeline.status.as_ref()?.workers.get("cifar-inference-x").cloned();
    let is_wanted = |pipeline: &Resource| of_pod(pipeline).is_some_and(|worker| wanted(&worker));
    let pipeline = namespace.until::<Resource>("cifar", what, is_wanted).await;
    println!("{:?}", of_pod(&pipeline));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_the_pipeline_says_how_each_worker_is_also_after_the_api_server_was_away() {
    let namespace = api_server().await.namespace().await;
    namespace.create_yaml::<Resource>(PIPELINE).await;
    namespace.patch_status::<Resource>("cifar", json!({"checkedGeneration": 7})).await.unwrap();
    let road = Road::to_api_server().await;
    let pipeline = tokio::task::spawn_blocking(|| Pipeline::new("reported", 1)).await.unwrap();
    let environment = [
        ("KUBECONFIG", road.kubeconfig().display().to_string()),
        ("TAILRACE_PIPELINE_NAME", "cifar".to_owned()),
        ("TAILRACE_NAMESPACE", namespace.name.clone()),
        ("TAILRACE_POD_NAME", "cifar-inference-x".to_owned()),
    ];
    let mut classifier = pipeline.start_classifier_in(&environment, &QUICK);
    says(&namespace, "ready", |worker| worker.ready && worker.component == "inference").await;

    road.close();
    let topics = tokio::task::spawn_blocking(move || {
        delete(&pipeline, &pipeline.images());
        pipeline
    });
    let pipeline = topics.await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    road.open();
    says(&namespace, "without a topic", |worker| {
        !worker.ready && worker.reason == "TopicMissing" && worker.message.contains("no topic reported-images")
    })
    .await;

    let ended = tokio::task::spawn_blocking(move || {
        let status = classifier.process.terminate(Duration::from_secs(20));
        (status, classifier.process.log(), pipeline)
    });
    let (status, log, _pipeline) = ended.await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("is not taken back"), "{log}");
    let is_empty = |pipeline: &Resource| pipeline.status.as_ref().is_some_and(|status| status.workers.is_empty());
    let pipeline = namespace.until::<Resource>("cifar", "without its entry", is_empty).await;
    assert_eq!(pipeline.status.unwrap().checked_generation, Some(7), "nobody else's field is touched");
}
