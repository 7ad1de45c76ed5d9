//! The API server goes away and comes back, or forbids everything for a while: no test is lost, and nothing is made
//! twice.

use std::time::Duration;

use k8s_openapi::api::{batch::v1::Job, core::v1::ServiceAccount};
use tailrace_crds::{LoadTest, ProducerReport, load_test::Phase};
use tailrace_operator::load_test::controller;

use crate::{
    producers::{Run, load_test, namespace, progress, ready, ready_pipeline, report, until_finished, until_started},
    support::{ApiServer, Namespace, Operator, api_server},
};

/// So long that what the operator wants to write in the meantime fails.
const AWAY: Duration = Duration::from_secs(3);

/// Where in the life of a test something happens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Created,
    Prepared,
    Running,
    Reported,
}

const MOMENTS: [Moment; 4] = [Moment::Created, Moment::Prepared, Moment::Running, Moment::Reported];

/// A test from its creation to its end, with what happens at one moment of it.
async fn live_through(namespace: &Namespace, moment: Moment, happens: impl AsyncFn()) -> LoadTest {
    let name = "interrupted";
    let at = async |now: Moment| {
        if now == moment {
            happens().await;
        }
    };
    load_test(namespace, name, 2).await;
    at(Moment::Created).await;
    for index in 0..2 {
        ready(namespace, name, index).await;
    }
    at(Moment::Prepared).await;
    until_started(namespace, name).await;
    for index in 0..2 {
        progress(namespace, name, index, 5).await;
    }
    at(Moment::Running).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    report(namespace, name, 0, &Run::of(20, 2_000)).await;
    at(Moment::Reported).await;
    report(namespace, name, 1, &Run::of(20, 2_000)).await;
    until_finished(namespace, name).await
}

/// That it ended well, and that there is one of everything.
async fn is_whole(test: &LoadTest, namespace: &Namespace, moment: Moment) {
    let status = test.status.as_ref().unwrap();
    let received = status.result.messages.as_ref().map(|messages| messages.received);
    assert_eq!((status.phase, received), (Phase::Succeeded, Some(40)), "{moment:?}: {status:#?}");
    let (jobs, reports) = (namespace.list::<Job>().await.len(), namespace.list::<ProducerReport>().await.len());
    assert!(jobs <= 2 && reports <= 2, "{moment:?}: {jobs} Jobs and {reports} reports");
}

/// The whole operator is one that outlives all of it, and serves each test in a namespace of its own.
fn operator_of_all(namespace: &Namespace) -> Operator {
    Operator::with_settings(namespace, controller, |settings| settings.watch_namespace.clear())
}

#[tokio::test]
async fn a_test_goes_on_after_the_api_server_was_away_at_any_moment_of_it() {
    let server = ApiServer::start().await;
    let _operator = operator_of_all(&server.namespace().await);
    for moment in MOMENTS {
        let namespace = server.namespace().await;
        ready_pipeline(&namespace).await;
        let away_for_a_while = async || {
            server.go_away();
            tokio::time::sleep(AWAY).await;
            server.come_back().await;
        };
        is_whole(&live_through(&namespace, moment, away_for_a_while).await, &namespace, moment).await;
    }
}

#[tokio::test]
async fn a_test_goes_on_after_the_operator_was_forbidden_everything_at_any_moment_of_it() {
    for moment in MOMENTS {
        let namespace = namespace().await;
        ready_pipeline(&namespace).await;
        namespace
            .create_yaml::<ServiceAccount>("{apiVersion: v1, kind: ServiceAccount, metadata: {name: operator}}")
            .await;
        namespace.permit_everything("operator").await;
        let _operator = Operator::start(&api_server().await.as_account(&namespace, "operator").await, controller);
        let forbidden_for_a_while = async || {
            namespace.forbid_everything("operator").await;
            tokio::time::sleep(AWAY).await;
            namespace.permit_everything("operator").await;
        };
        is_whole(&live_through(&namespace, moment, forbidden_for_a_while).await, &namespace, moment).await;
    }
}
