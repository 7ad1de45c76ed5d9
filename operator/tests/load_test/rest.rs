//! A Pipeline that is ready and a LoadTest that is over cost the API server nothing, also when they are looked at
//! again.

use std::{net::SocketAddr, time::Duration};

use kube::api::{Patch, PatchParams};
use serde_json::json;
use tailrace_crds::{LoadTest, Pipeline, ProducerReport};

use crate::{
    cluster,
    producers::{Run, load_test, play, until_finished},
    support::{Kind, Namespace, Operator, get},
};

/// How long nothing must have been asked for.
const REST: Duration = Duration::from_secs(4);
/// What the operator watches.
const KINDS: u64 = 15;

/// The sum of all samples whose line begins like that.
async fn sum(address: SocketAddr, beginning: &str) -> u64 {
    let (_, text) = get(address, "/metrics").await;
    let lines = text.lines().filter(|line| line.starts_with(beginning));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Requests until now, those of watches included. Of the lease there are none: this operator has none.
async fn requests(address: SocketAddr) -> u64 {
    sum(address, "tailrace_operator_api_requests_total").await
}

async fn reconciliations<K: Kind>(address: SocketAddr) -> u64 {
    sum(address, &format!("tailrace_operator_reconcile_duration_seconds_count{{kind=\"{}\"}}", K::kind(&()))).await
}

/// The requests until now, once there have been no more for a while.
async fn at_rest(address: SocketAddr) -> u64 {
    let mut last = requests(address).await;
    for _ in 0..30 {
        tokio::time::sleep(REST).await;
        let now = requests(address).await;
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("the operator does not come to rest: {}", get(address, "/metrics").await.1);
}

/// Has an object reconciled, by a change that asks for nothing.
async fn look_again<K: Kind>(namespace: &Namespace, address: SocketAddr, name: &str) {
    let before = reconciliations::<K>(address).await;
    let change = Patch::Merge(json!({ "metadata": { "labels": { "look": "again" } } }));
    namespace.api::<K>().patch(name, &PatchParams::default(), &change).await.unwrap();
    for _ in 0..200 {
        if reconciliations::<K>(address).await > before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} {name} was not looked at again", K::kind(&()));
}

#[tokio::test]
async fn what_is_ready_and_what_is_over_is_neither_read_nor_written() {
    let namespace = cluster::namespace().await;
    let (operator, address) = Operator::serving(&namespace).await;
    cluster::pipeline(&namespace, "{}").await;
    cluster::becomes_ready(&namespace).await;
    load_test(&namespace, "over", 2).await;
    play(&namespace, "over", &[Run::of(20, 2_000), Run::of(20, 2_000)]).await;
    until_finished(&namespace, "over").await;

    let before = at_rest(address).await;
    look_again::<Pipeline>(&namespace, address, "cifar").await;
    look_again::<LoadTest>(&namespace, address, "over").await;
    let report = namespace.get::<ProducerReport>("over-producer-0").await;
    assert!(report.status.unwrap().summed, "its result is taken out of the report");
    assert_eq!(at_rest(address).await, before, "{}", get(address, "/metrics").await.1);

    // An operator that starts anew lists each kind, watches it, and finds nothing to do.
    operator.kill().await;
    let (_operator, address) = Operator::serving(&namespace).await;
    let after = at_rest(address).await;
    let lists_and_watches = 2 * KINDS;
    assert!(after <= lists_and_watches, "{after} requests: {}", get(address, "/metrics").await.1);
}
