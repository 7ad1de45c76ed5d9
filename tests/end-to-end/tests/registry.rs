//! An image of a registry that asks for a password: without the pull secret a Pipeline says what is wrong, with it
//! three producers measure. `tests/end-to-end/registry` starts the registry and moves the image of the workers there.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use tailrace_crds::{LoadTest, Pipeline, load_test::Phase};
use tailrace_end_to_end::{Cluster, cluster::has_reason};

const WITHOUT_SECRET: &str = "
apiVersion: tailrace.dev/v1alpha1
kind: Pipeline
metadata: {name: cifar}
spec:
  mongodb: {managed: {engine: FerretDB}}
";

const WITH_SECRET: &str = "
apiVersion: tailrace.dev/v1alpha1
kind: Pipeline
metadata: {name: cifar}
spec:
  mongodb: {managed: {engine: FerretDB}}
  inference: {podTemplate: {imagePullSecrets: [{name: registry}]}}
  archive: {podTemplate: {imagePullSecrets: [{name: registry}]}}
  jobs: {podTemplate: {imagePullSecrets: [{name: registry}]}}
";

const LOAD_TEST: &str = "
apiVersion: tailrace.dev/v1alpha1
kind: LoadTest
metadata: {name: NAME}
spec:
  pipelineRef: {name: cifar}
  producers: 3
  load: {open: {ratePerProducer: 10}}
  warmup: 2s
  duration: 8s
  podTemplate: {imagePullSecrets: [{name: registry}]}
";

#[tokio::test]
async fn a_pipeline_with_the_pull_secret_becomes_ready_and_one_without_says_why_not() -> Result<()> {
    let cluster = Cluster::with_namespace("registry").await?;
    cluster.apply::<Pipeline>(WITHOUT_SECRET).await?;
    let message = the_reason(&cluster).await?;
    println!("without the secret: {message}");

    cluster.apply::<Secret>(&secret()?).await?;
    cluster.apply::<Pipeline>(WITH_SECRET).await?;
    cluster.ready("cifar").await?;
    three_producers_measure(&cluster).await
}

/// What the condition Ready says as soon as an image could not be pulled.
async fn the_reason(cluster: &Cluster) -> Result<String> {
    let message = |pipeline: &Pipeline| {
        let conditions = pipeline.status.iter().flat_map(|status| &status.conditions);
        let mut ready = conditions.filter(|condition| condition.type_ == "Ready").map(|ready| ready.message.clone());
        ready.next_back().unwrap_or_default()
    };
    let refused = |text: &str| {
        let text = text.to_lowercase();
        text.contains("localhost:5000/") && (text.contains("401") || text.contains("authorization"))
    };
    let limit = Duration::from_secs(120);
    let pipeline = cluster.wait("cifar", limit, |pipeline: &Pipeline| refused(&message(pipeline))).await?;
    let message = message(&pipeline);
    ensure!(message.contains("pod cifar-") && message.contains("ImagePull"), "no pod, or no reason: {message}");
    Ok(message)
}

/// As `kubectl create secret docker-registry` makes it.
fn secret() -> Result<String> {
    let account = "tailrace:secret-of-the-test";
    let configuration = json!({ "auths": { "localhost:5000": { "auth": STANDARD.encode(account) } } });
    Ok(serde_json::to_string(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "registry" },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": { ".dockerconfigjson": configuration.to_string() },
    }))?)
}

/// On a node where pods may ask for one CPU. Producers that get too little of a busy machine say so, and try again.
async fn three_producers_measure(cluster: &Cluster) -> Result<()> {
    for name in ["first", "second", "third"] {
        cluster.apply::<LoadTest>(&LOAD_TEST.replace("NAME", name)).await?;
        let load_test = cluster.finished(name, Duration::from_secs(180)).await?;
        let status = load_test.status.context("a finished LoadTest has a status")?;
        if has_reason(&status.conditions, "ResultsValid", "GeneratorSaturated") {
            println!("{name} had too little of the machine");
            continue;
        }
        ensure!(status.phase == Phase::Succeeded, "{status:#?}");
        let environment = status.result.environment.context("no environment")?;
        let producer = environment.resources.get("producer").map(String::as_str);
        ensure!(producer == Some("cpu 100m.., memory 128Mi..512Mi"), "{environment:?}");
        ensure!(environment.producer_nodes.len() == 3, "{environment:?}");
        return Ok(());
    }
    anyhow::bail!("three tests had too little of the machine")
}
