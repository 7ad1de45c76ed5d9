//! What Prometheus scrapes.

use std::time::Duration;

use tailrace_crds::{LoadTest, Pipeline};

use crate::{
    definitions::namespace,
    support::{Operator, get},
    unreadable::{a_test, create},
};

#[tokio::test]
async fn reconciliations_objects_and_requests_are_counted_without_names_in_labels() {
    let namespace = namespace().await;
    create::<Pipeline>(&namespace, "cifar", serde_json::json!({})).await;
    create::<LoadTest>(&namespace, "waiting", a_test("0s")).await;
    create::<LoadTest>(&namespace, "bad", a_test("soon")).await;
    let (_operator, address) = Operator::serving(&namespace).await;
    namespace.until_event("bad", "Warning Unreadable").await;
    let wanted = [
        "tailrace_operator_reconcile_duration_seconds_count{kind=\"LoadTest\"} ",
        "tailrace_operator_reconcile_duration_seconds_bucket{le=\"0.001\",kind=\"Pipeline\"} ",
        "tailrace_operator_reconciling{kind=\"LoadTest\"} 0",
        "tailrace_operator_queue_depth{kind=\"LoadTest\"} 0",
        "tailrace_operator_objects{kind=\"Pipeline\",phase=\"NotReady\"} 1",
        "tailrace_operator_objects{kind=\"LoadTest\",phase=\"Queued\"} 1",
        "tailrace_operator_unreadable_objects{kind=\"LoadTest\"} 1",
        "tailrace_operator_api_requests_total{method=\"GET\",code=\"200\"} ",
        "tailrace_operator_leader 1",
    ];
    let mut text = String::new();
    for _ in 0..200 {
        let (status, scraped) = get(address, "/metrics").await;
        assert_eq!(status, 200);
        text = scraped;
        if wanted.iter().all(|line| text.contains(line)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let missing: Vec<_> = wanted.iter().filter(|line| !text.contains(**line)).collect();
    assert!(missing.is_empty(), "{missing:#?} are not in\n{text}");
    for name in [namespace.name.as_str(), "cifar", "\"waiting\"", "\"bad\""] {
        assert!(!text.contains(name), "{name} is in a label of\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}
