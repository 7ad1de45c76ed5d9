//! LoadTests, played by the test: they end at once, as the test says.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};
use tailrace_crds::{Experiment, LoadTest, experiment::ExperimentStatus};
use tailrace_operator::{experiment::controller, load_test::observation::is_finished};

use crate::support::{Namespace, Operator};

/// The controller under test. Nobody reconciles LoadTests.
pub fn operator(namespace: &Namespace) -> Operator {
    Operator::start(namespace, controller)
}

/// The YAML of an Experiment on the Pipeline `cifar` in a closed load, without a cool-down.
pub fn sweep(name: &str, sweep: &str) -> String {
    let template = "{pipelineRef: {name: cifar}, load: {closed: {}}}";
    yaml(name, &format!("{{sweep: {sweep}, coolDown: 0s, template: {template}}}"))
}

/// The YAML of a search in an open load of two producers.
pub fn max_rate(name: &str, bounds: &str) -> String {
    let template = "{pipelineRef: {name: cifar}, producers: 2, load: {open: {ratePerProducer: 1}}, \
                     slos: [{metric: P95, max: 50ms}]}";
    yaml(name, &format!("{{maxRate: {bounds}, coolDown: 0s, template: {template}}}"))
}

/// The YAML of an Experiment.
pub fn yaml(name: &str, spec: &str) -> String {
    format!("{{apiVersion: tailrace.dev/v1alpha1, kind: Experiment, metadata: {{name: {name}}}, spec: {spec}}}")
}

/// How a LoadTest ends.
#[derive(Clone, Copy)]
pub enum End {
    /// With success and this p95 in microseconds.
    P95(i64),
    /// With a valid result that misses an SLO.
    Missed,
    /// Without a valid result, for this reason.
    Invalid(&'static str),
    /// Since it was aborted.
    Aborted,
}

impl End {
    fn status(self) -> Value {
        let (phase, p95, reason, valid, met) = match self {
            Self::P95(p95) => ("Succeeded", Some(p95), "Completed", "True", "True"),
            Self::Missed => ("Failed", None, "SLOMissed", "True", "False"),
            Self::Aborted => ("Aborted", None, "Aborted", "False", "Unknown"),
            Self::Invalid(reason) => ("Failed", None, reason, "False", "Unknown"),
        };
        let now = format!("{:.6}", Timestamp::now());
        let succeeded = if phase == "Succeeded" { "True" } else { "False" };
        let condition = |type_, status| {
            let second = format!("{:.0}", Timestamp::now());
            let message = format!("it is {reason}");
            json!({ "type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": second })
        };
        json!({
            "phase": phase,
            "conditions": [
                condition("Finished", "True"), condition("Succeeded", succeeded),
                condition("ResultsValid", valid), condition("SLOsMet", met),
            ],
            "messages": { "scheduled": 100, "sent": 100, "received": 98, "lost": 2 },
            "latencyMicros": { "count": 98, "p50": 1_000, "p90": 2_000, "p95": p95, "p99": p95 },
            "rate": { "offered": "20.0", "achieved": "19.6" },
            "completionTime": now,
        })
    }
}

/// Ends a LoadTest.
pub async fn end(namespace: &Namespace, name: &str, end: End) {
    namespace.patch_status::<LoadTest>(name, end.status()).await.unwrap();
}

/// The LoadTest, as soon as it was made.
pub async fn until_made(namespace: &Namespace, name: &str) -> LoadTest {
    namespace.until::<LoadTest>(name, "there", |_| true).await
}

/// Ends each LoadTest of a round as soon as it is there, until the round is over. Returns their names in the order in
/// which they were made, and the status. Never are there two that are not over.
pub async fn play(
    namespace: &Namespace,
    experiment: &str,
    round: i32,
    ending: impl Fn(&LoadTest) -> End,
) -> (Vec<String>, ExperimentStatus) {
    let mut names = vec![];
    loop {
        let tests = namespace.list::<LoadTest>().await;
        let of_round = |test: &&LoadTest| test.name_any().starts_with(&format!("{experiment}-{round}-"));
        let open: Vec<_> = tests.iter().filter(of_round).filter(|test| !is_finished(test)).collect();
        assert!(open.len() <= 1, "{} LoadTests at once", open.len());
        for test in open {
            names.push(test.name_any());
            end(namespace, &test.name_any(), ending(test)).await;
        }
        let status = namespace.get::<Experiment>(experiment).await.status.unwrap_or_default();
        if status.round == round && status.phase.is_final() {
            return (names, status);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The condition of that type, as its status and reason.
pub fn condition(status: &ExperimentStatus, type_: &str) -> (String, String) {
    let found = status.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
    (found.status.clone(), found.reason.clone())
}
