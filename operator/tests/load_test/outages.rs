//! The API server stops and is restarted, or forbids everything for a while: no test is lost, and nothing is made twice.

use std::time::Duration;

use k8s_openapi::api::{batch::v1::Job, core::v1::ServiceAccount};
use tailrace_crds::{LoadTest, ProducerReport, load_test::Phase};
use tailrace_operator::load_test::controller;

use crate::{
    producers::{Run, load_test, namespace, progress, ready, ready_pipeline, report, until_finished, until_started},
    support::{ApiServer, Namespace, Operator, api_server},
};

const NAME: &str = "interrupted";
/// So long that what the operator wants to write in the meantime fails.
const OUTAGE: Duration = Duration::from_secs(3);

/// The steps of a test, each of which makes the operator write.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Create,
    Ready,
    Progress,
    Report,
}

const STEPS: [Step; 4] = [Step::Create, Step::Ready, Step::Progress, Step::Report];

impl Step {
    async fn take(self, namespace: &Namespace) {
        match self {
            Self::Create => drop(load_test(namespace, NAME, 2).await),
            Self::Ready => both(async |index| ready(namespace, NAME, index).await).await,
            Self::Progress => both(async |index| progress(namespace, NAME, index, 5).await).await,
            Self::Report => both(async |index| report(namespace, NAME, index, &Run::of(20, 2_000)).await).await,
        }
    }

    /// Waits until the operator has come so far that the step can be taken.
    async fn until_possible(self, namespace: &Namespace) {
        match self {
            Self::Create => {}
            Self::Ready => {
                both(async |index| {
                    namespace.until::<Job>(&format!("{NAME}-producer-{index}"), "there", |_| true).await;
                })
                .await
            }
            Self::Progress => drop(until_started(namespace, NAME).await),
            Self::Report => tokio::time::sleep(Duration::from_millis(1_500)).await,
        }
    }
}

async fn both(each: impl AsyncFn(i32)) {
    for index in 0..2 {
        each(index).await;
    }
}

/// That it ended well, and that there is one of everything.
async fn is_whole(namespace: &Namespace, step: Step) {
    let status = until_finished(namespace, NAME).await.status.unwrap();
    let received = status.result.messages.map(|messages| messages.received);
    assert_eq!((status.phase, received), (Phase::Succeeded, Some(40)), "{step:?}: {status:#?}");
    let (jobs, reports) = (namespace.list::<Job>().await.len(), namespace.list::<ProducerReport>().await.len());
    assert!(jobs <= 2 && reports <= 2, "{step:?}: {jobs} Jobs and {reports} reports");
}

/// The whole operator is one that outlives all of it, and serves each test in a namespace of its own.
fn operator_of_all(namespace: &Namespace) -> Operator {
    Operator::with_settings(namespace, controller, |settings| settings.watch_namespace.clear())
}

#[tokio::test]
async fn a_test_continues_after_an_outage_of_the_api_server_at_any_step() {
    let server = ApiServer::start().await;
    let _operator = operator_of_all(&server.namespace().await);
    for interrupted in STEPS {
        let namespace = server.namespace().await;
        ready_pipeline(&namespace).await;
        for step in STEPS {
            step.until_possible(&namespace).await;
            step.take(&namespace).await;
            if step == interrupted {
                server.stop();
                tokio::time::sleep(OUTAGE).await;
                server.restart().await;
            }
        }
        is_whole(&namespace, interrupted).await;
    }
}

#[tokio::test]
async fn a_test_continues_after_the_operator_was_forbidden_everything_at_any_step() {
    for interrupted in STEPS {
        let namespace = namespace().await;
        ready_pipeline(&namespace).await;
        namespace
            .create_yaml::<ServiceAccount>("{apiVersion: v1, kind: ServiceAccount, metadata: {name: operator}}")
            .await;
        namespace.permit_everything("operator").await;
        let as_operator = api_server().await.as_account(&namespace, "operator").await;
        let _operator = Operator::start(&as_operator, controller);
        for step in STEPS {
            step.until_possible(&namespace).await;
            if step != interrupted {
                step.take(&namespace).await;
                continue;
            }
            namespace.forbid_everything("operator").await;
            while as_operator.api::<LoadTest>().get_opt(NAME).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            step.take(&namespace).await;
            let status = async || namespace.get::<LoadTest>(NAME).await.status;
            let before = status().await;
            tokio::time::sleep(OUTAGE).await;
            assert_eq!(status().await, before, "{step:?}: it was written to in spite of that");
            namespace.permit_everything("operator").await;
        }
        is_whole(&namespace, interrupted).await;
    }
}
