//! Experiments and LoadTests for unit tests, put together like sentences.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::ResourceExt;
use serde_json::{Value, json};
use tailrace_crds::{
    Experiment, LoadTest,
    experiment::ExperimentStatus,
    load_test::{Counts, LoadTestStatus, Phase, Rate, Summary, TestResult},
};

use super::{decide::Decision, observation::Observation};
use crate::conditions::Conditions;

/// The time at which every test begins.
pub fn begin() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn experiment(name: &str, spec: Value) -> Experiment {
    serde_json::from_value(json!({
        "apiVersion": "tailrace.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": { "name": name, "namespace": "default", "uid": format!("uid-of-{name}"), "generation": 1 },
        "spec": spec,
    }))
    .unwrap()
}

/// A sweep over numbers of producers in a closed load, in the order of the list, with a cool-down of 5 s.
pub fn sweep(producers: &[i32], repetitions: i32) -> Experiment {
    experiment(
        "sweep",
        json!({
            "sweep": { "producers": producers, "repetitions": repetitions, "order": "Listed" },
            "coolDown": "5s",
            "template": { "pipelineRef": { "name": "cifar" }, "load": { "closed": {} } },
        }),
    )
}

/// A search within these rates of two producers together, without a cool-down.
pub fn max_rate(from: i32, to: i32) -> Experiment {
    experiment(
        "search",
        json!({
            "maxRate": { "from": from, "to": to, "resolutionPercent": 10 },
            "coolDown": "0s",
            "template": {
                "pipelineRef": { "name": "cifar" }, "producers": 2,
                "load": { "open": { "ratePerProducer": 1, "arrivals": "Poisson" } },
                "slos": [{ "metric": "P95", "max": "50ms" }],
            },
        }),
    )
}

/// An Experiment that nobody has looked at.
pub fn new(experiment: Experiment) -> Observation {
    Observation { experiment, tests: vec![], unreadable: BTreeMap::new(), now: begin() }
}

/// How a LoadTest ends.
pub enum End {
    /// With this p95 in microseconds.
    P95(u64),
    /// Valid, with an SLO missed and no p95.
    Missed,
    /// Without a valid result, for this reason.
    Invalid(&'static str),
}

/// The status of a LoadTest that ended so.
pub fn ended(end: &End, now: Timestamp) -> LoadTestStatus {
    let mut conditions = Conditions::new(&[], Some(1), now);
    let (phase, p95, finished, valid, slos) = match end {
        End::P95(p95) => (Phase::Succeeded, Some(*p95), "Completed", "Valid", Some(true)),
        End::Missed => (Phase::Missed, None, "SLOMissed", "Valid", Some(false)),
        End::Invalid(reason) => (Phase::Invalid, None, *reason, *reason, None),
    };
    conditions.set("Finished", true, finished, format!("it is {finished}"));
    conditions.set("Succeeded", phase == Phase::Succeeded, finished, "");
    conditions.set("ResultsValid", valid == "Valid", valid, "");
    if let Some(met) = slos {
        conditions.set("SLOsMet", met, finished, "");
    }
    LoadTestStatus {
        phase,
        conditions: conditions.into_list(),
        result: TestResult {
            latency_micros: Some(Summary { p50: Some(1_000), p90: p95, p95, p99: p95, ..Summary::default() }),
            messages: Some(Counts { lost: 3, ..Counts::default() }),
            rate: Some(Rate { achieved: "19.8".into(), ..Rate::default() }),
            ..TestResult::default()
        },
        completion_time: Some(MicroTime(now)),
        ..LoadTestStatus::default()
    }
}

impl Observation {
    /// What was decided has been done.
    pub fn after(mut self, decision: &Decision) -> Self {
        self.experiment.status = Some(decision.status.clone());
        self.tests.retain(|test| !decision.delete.iter().any(|deleted| deleted.name_any() == test.name_any()));
        self.tests.retain(|test| !decision.history.tests.iter().any(|old| old.name_any() == test.name_any()));
        self.tests.extend(decision.create.as_deref().cloned().map(Arc::new));
        self
    }

    /// Only the LoadTest was made: the operator was killed before it wrote the status.
    pub fn killed_after_creation(mut self, decision: &Decision) -> Self {
        self.tests.extend(decision.create.as_deref().cloned().map(Arc::new));
        self
    }

    /// So much later.
    pub fn later(mut self, seconds: u64) -> Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    /// The LoadTest of that name has ended.
    pub fn with_end(mut self, name: &str, end: &End) -> Self {
        let now = self.now;
        self.test_mut(name).status = Some(ended(end, now));
        self
    }

    /// The LoadTest of that name.
    pub fn test_mut(&mut self, name: &str) -> &mut LoadTest {
        Arc::make_mut(self.tests.iter_mut().find(|test| test.name_any() == name).unwrap())
    }

    /// The status that was written.
    pub fn written(&self) -> &ExperimentStatus {
        self.experiment.status.as_ref().unwrap()
    }
}
