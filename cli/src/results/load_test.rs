//! From the spec and the status of a LoadTest to a plain result.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::ResourceExt;
use tailrace_crds::{
    LoadTest,
    conditions::types,
    duration,
    load_test::{self, DatasetSource, Encoding, LoadTestStatus, RegressionVerdict, SloResult},
};
use tailrace_measure::{signed::unsigned, slo::Limit};
use tailrace_report::values::{
    Arrivals, Change, Comparison, ComparisonVerdict, Environment, Load, Model, Objective, Rate, Run, Validity, Verdict,
    Warning,
};

use super::verdict::condition;

/// What the producers take where the spec says nothing.
const JPEG_QUALITY: i32 = 75;

/// The result without what lies in other objects.
pub fn run(load_test: &LoadTest, status: &LoadTestStatus, verdict: Verdict) -> Run {
    let spec = &load_test.spec;
    Run {
        name: load_test.name_any(),
        namespace: load_test.namespace(),
        pipeline: spec.pipeline_ref.name.clone(),
        load: load(&spec.load),
        producers: count(spec.producers),
        dataset: dataset(&spec.dataset),
        warmup: spec.warmup.get(),
        duration: spec.duration.get(),
        drain_timeout: spec.drain_timeout.get(),
        started: status.start_time.as_ref().map(timestamp),
        finished: status.completion_time.as_ref().map(timestamp),
        verdict,
        message: status.message.clone().unwrap_or_default(),
        validity: validity(status),
        messages: status.messages,
        rate: status.rate.as_ref().map(rate),
        latency: status.latency_micros,
        service_latency: status.service_latency_micros,
        send_delay: status.send_delay_micros,
        confidence: status.confidence_micros.unwrap_or_default(),
        stages: status.stages_micros,
        start_skew_micros: status.start_skew_micros,
        accuracy_percent: status.accuracy_percent.as_deref().and_then(|percent| percent.parse().ok()),
        objectives: status.slos.iter().filter_map(objective).collect(),
        comparison: status.comparison.as_ref().map(comparison),
        warnings: status.warnings.iter().map(warning).collect(),
        environment: status.environment.as_ref().map(environment).unwrap_or_default(),
        intervals: None,
        raw_log: vec![],
    }
}

fn load(load: &load_test::Load) -> Load {
    match (&load.open, &load.closed) {
        (Some(open), _) => Load::Open {
            rate_per_producer: count(open.rate_per_producer),
            arrivals: match open.arrivals {
                load_test::Arrivals::Constant => Arrivals::Constant,
                load_test::Arrivals::Poisson => Arrivals::Poisson,
            },
        },
        (None, closed) => {
            let closed = closed.clone().unwrap_or_default();
            Load::Closed { outstanding: count(closed.outstanding), think_time: closed.think_time.get() }
        }
    }
}

/// As it was sent, what the spec leaves to its defaults included.
fn dataset(dataset: &load_test::Dataset) -> String {
    let (source, as_they_are) = match (dataset.source, &dataset.volume) {
        (DatasetSource::Cifar10Test, _) => ("CIFAR-10 test set".to_owned(), "PNG"),
        (DatasetSource::Volume, volume) => {
            let place = volume.as_ref().map(|volume| format!("{}/{}", volume.claim_name, volume.path));
            (format!("volume {}", place.unwrap_or_default()), "as its files are")
        }
    };
    let encoding = match dataset.encoding {
        None => as_they_are.to_owned(),
        Some(Encoding::Png) => "PNG".to_owned(),
        Some(Encoding::Jpeg) => format!("JPEG of quality {}", dataset.jpeg_quality.unwrap_or(JPEG_QUALITY)),
        Some(Encoding::Raw) => "raw pixels".to_owned(),
    };
    format!("{source}, {encoding}, seed {}", dataset.seed)
}

fn count(value: i32) -> u32 {
    value.max(0).unsigned_abs()
}

fn timestamp(at: &MicroTime) -> Timestamp {
    at.0
}

fn validity(status: &LoadTestStatus) -> Validity {
    let valid = condition(status, types::RESULTS_VALID);
    Validity {
        valid: valid.is_some_and(|valid| valid.status == "True"),
        reason: valid.map_or_else(|| "Unknown".to_owned(), |valid| valid.reason.clone()),
        message: valid.map_or_else(|| "there is no word about it".to_owned(), |valid| valid.message.clone()),
    }
}

fn rate(rate: &load_test::Rate) -> Rate {
    let number = |text: &str| text.parse().unwrap_or_default();
    Rate {
        target: rate.target.as_deref().map(number),
        offered: number(&rate.offered),
        achieved: number(&rate.achieved),
    }
}

/// None if it is none, which the API server refuses.
fn objective(slo: &SloResult) -> Option<Objective> {
    let value = |text: &str| {
        if slo.metric.is_percent() {
            return text.parse().ok();
        }
        let limit: duration::Duration = text.parse().ok()?;
        Some(micros(limit.get()))
    };
    let (limit, written) = match (&slo.max, &slo.min) {
        (Some(max), _) => (Limit::AtMost(value(max)?), max),
        (None, Some(min)) => (Limit::AtLeast(value(min)?), min),
        (None, None) => return None,
    };
    let (written, observed) = (written.clone(), slo.observed.clone());
    Some(Objective { metric: slo.metric, limit, written, observed, met: slo.met })
}

fn micros(duration: Duration) -> f64 {
    duration.as_micros() as f64
}

fn comparison(comparison: &load_test::Comparison) -> Comparison {
    let change = |metric: &load_test::MetricComparison| Change {
        metric: metric.metric,
        baseline: metric.baseline_micros.map(unsigned),
        observed: metric.observed_micros.map(unsigned),
        difference: metric.difference_micros.as_ref().map(|difference| difference.value),
        low: metric.difference_micros.as_ref().and_then(|difference| difference.low),
        high: metric.difference_micros.as_ref().and_then(|difference| difference.high),
    };
    Comparison {
        baseline: comparison.baseline.clone(),
        max_regression_percent: f64::from(comparison.max_regression_percent),
        verdict: match comparison.verdict {
            RegressionVerdict::NotRegressed => ComparisonVerdict::NotRegressed,
            RegressionVerdict::Regressed => ComparisonVerdict::Regressed,
            RegressionVerdict::Inconclusive => ComparisonVerdict::Inconclusive,
        },
        message: comparison.message.clone(),
        changes: comparison.metrics.iter().map(change).collect(),
        environment_differences: comparison.environment_differences.clone(),
    }
}

fn warning(warning: &load_test::Warning) -> Warning {
    Warning { reason: warning.reason.clone(), message: warning.message.clone() }
}

fn environment(environment: &load_test::Environment) -> Environment {
    Environment {
        images: environment.images.clone(),
        model: environment.model.as_ref().map(|model| Model { name: model.name.clone(), sha256: model.sha256.clone() }),
        producer_nodes: environment.producer_nodes.clone(),
        shared_nodes: environment.shared_nodes.clone(),
        resources: environment.resources.clone(),
        annotations: environment.annotations.clone(),
        client_settings: environment.client_settings.clone(),
    }
}
