//! Who may write a report, and how often.

use serde_json::json;
use tailrace_crds::{LoadTest, ProducerReport};

use crate::producers::{Run, load_test, namespace, operator, ready, ready_pipeline, report, until_started};

#[tokio::test]
async fn a_report_belongs_to_the_first_pod_that_claims_it() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let test = load_test(&namespace, "claimed", 1).await;
    let _operator = operator(&namespace);
    ready(&namespace, "claimed", 0).await;

    let second = namespace.patch_status::<ProducerReport>("claimed-producer-0", json!({ "podUid": "another" })).await;
    assert!(second.unwrap_err().to_string().contains("this report belongs to another pod"));
    let none = namespace.patch_status::<ProducerReport>("claimed-producer-0", json!({ "podUid": null })).await;
    assert!(none.unwrap_err().to_string().contains("this report belongs to another pod"));

    let claimed: ProducerReport = namespace.get("claimed-producer-0").await;
    assert_eq!(claimed.status.unwrap().pod_uid.unwrap(), "uid-of-claimed-producer-0");
    let owner = &claimed.metadata.owner_references.unwrap()[0];
    assert_eq!((Some(&owner.uid), owner.controller), (test.metadata.uid.as_ref(), Some(true)));
}

#[tokio::test]
async fn a_result_is_written_once() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    load_test(&namespace, "once", 2).await;
    let _operator = operator(&namespace);
    ready(&namespace, "once", 0).await;
    report(&namespace, "once", 0, &Run::of(10, 1_000)).await;

    for another in [json!({ "result": { "correct": 7 } }), json!({ "result": null })] {
        let refused = namespace.patch_status::<ProducerReport>("once-producer-0", another).await;
        assert!(refused.unwrap_err().to_string().contains("written once"));
    }
}

#[tokio::test]
async fn counts_out_of_all_reason_are_refused() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    load_test(&namespace, "absurd", 1).await;
    let _operator = operator(&namespace);
    ready(&namespace, "absurd", 0).await;
    for sent in [-1, i64::MAX] {
        let progress = json!({ "progress": { "messages": { "sent": sent } } });
        let refused = namespace.patch_status::<ProducerReport>("absurd-producer-0", progress).await;
        assert!(refused.unwrap_err().to_string().contains("status.progress.messages.sent"));
    }
}

#[tokio::test]
async fn the_common_start_and_the_end_cannot_be_written_again() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    load_test(&namespace, "started", 1).await;
    let operator = operator(&namespace);
    ready(&namespace, "started", 0).await;
    until_started(&namespace, "started").await;
    let later = json!({ "startTime": "2030-01-01T00:00:00.000000Z" });
    let refused = namespace.patch_status::<LoadTest>("started", later).await;
    assert!(refused.unwrap_err().to_string().contains("the common start of the producers is written once"));

    report(&namespace, "started", 0, &Run::of(10, 1_000)).await;
    crate::producers::until_finished(&namespace, "started").await;
    operator.kill().await;
    let better = json!({ "display": { "p95": "0.1ms" } });
    let refused = namespace.patch_status::<LoadTest>("started", better).await;
    assert!(refused.unwrap_err().to_string().contains("finished LoadTest cannot be changed"));
}
