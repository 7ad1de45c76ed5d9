//! While nothing happens nothing is asked for, and what others change is repaired all the same.

use std::{net::SocketAddr, time::Duration};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::Service,
};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use tailrace_crds::Pipeline;

use crate::{
    support::{Kind, Namespace, Operator, api_server, get},
    unreadable::create,
};

/// Writes, and reconciliations, until now. Why a Pipeline that is not ready is not is read from events, which are not
/// watched.
async fn counts(address: SocketAddr) -> (u64, u64) {
    let (_, text) = get(address, "/metrics").await;
    let sum = |name: &str, not: &str| {
        let lines = text.lines().filter(|line| line.starts_with(name) && !line.contains(not));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    (
        sum("tailrace_operator_api_requests_total", "method=\"GET\""),
        sum("tailrace_operator_reconcile_duration_seconds_count", "LoadTest"),
    )
}

async fn patch<K: Kind>(namespace: &Namespace, name: &str, change: serde_json::Value) -> K {
    namespace.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap()
}

/// Until so long nothing was written; returns the number of writes.
async fn at_rest(address: SocketAddr) -> u64 {
    let mut last = counts(address).await.0;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = counts(address).await.0;
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("the operator does not come to rest: {}", get(address, "/metrics").await.1);
}

#[tokio::test]
async fn a_pipeline_at_rest_writes_nothing_and_drift_is_repaired() {
    let namespace = api_server().await.namespace().await;
    let spec = json!({ "inference": { "resources": { "requests": { "cpu": "1000m", "memory": "1024Mi" } } } });
    create::<Pipeline>(&namespace, "cifar", spec).await;
    let (operator, address) = Operator::serving(&namespace).await;
    namespace.until::<Deployment>("cifar-inference", "there", |_| true).await;
    let before = at_rest(address).await;

    // A reconciliation finds everything as it should be.
    let (_, reconciled) = counts(address).await;
    patch::<Pipeline>(&namespace, "cifar", json!({ "metadata": { "labels": { "look": "again" } } })).await;
    let mut times = 0;
    while counts(address).await.1 == reconciled {
        times += 1;
        assert!(times < 200, "it was not reconciled");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(at_rest(address).await, before, "{}", get(address, "/metrics").await.1);

    // What others change, remove or delete comes back.
    patch::<Deployment>(&namespace, "cifar-inference", json!({ "spec": { "replicas": 0 } })).await;
    let one = |deployment: &Deployment| deployment.spec.as_ref().unwrap().replicas == Some(1);
    namespace.until::<Deployment>("cifar-inference", "scaled back", one).await;
    let label = "app.kubernetes.io/component";
    patch::<StatefulSet>(&namespace, "cifar-kafka", json!({ "metadata": { "labels": { label: null } } })).await;
    let labelled = |set: &StatefulSet| set.labels().contains_key(label);
    namespace.until::<StatefulSet>("cifar-kafka", "labelled again", labelled).await;
    let service: Service = namespace.get("cifar-kafka").await;
    namespace.api::<Service>().delete("cifar-kafka", &DeleteParams::default()).await.unwrap();
    let anew = |other: &Service| other.uid() != service.uid();
    namespace.until::<Service>("cifar-kafka", "made again", anew).await;

    // An operator that starts anew writes nothing, but for the one value that the API server writes in another way.
    at_rest(address).await;
    operator.kill().await;
    let versions = async || {
        let mut versions = vec![];
        for service in namespace.list::<Service>().await {
            versions.push(service.resource_version());
        }
        for deployment in namespace.list::<Deployment>().await {
            versions.push(deployment.resource_version());
        }
        versions
    };
    let before = versions().await;
    let (_operator, address) = Operator::serving(&namespace).await;
    at_rest(address).await;
    assert_eq!(versions().await, before);
    let (_, text) = get(address, "/metrics").await;
    let writes = text.lines().filter(|line| line.starts_with("tailrace_operator_api_requests_total{method=\"PATCH\""));
    let writes: u64 = writes.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert!(writes <= 1, "{writes} writes after a restart\n{text}");
}
