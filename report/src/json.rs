//! Results as JSON, for programs. The shape is stable: fields are added, and `version` counts up when one changes or
//! goes.

use serde_json::{Value, json};
use tailrace_measure::{
    confidence::{Comparison, Confidence, MetricComparison, Range},
    judgement::Verdict,
    load::Load,
    result::Rate,
    slo::{Limit, SloResult},
    summary::{Percentiles, Summary, summarize},
};

use crate::values::{Point, Run, Sweep, Varied};

/// Of the shapes of this module.
const VERSION: u32 = 1;

/// A LoadTest. Latencies are in microseconds, `null` where they fall on images without an answer; dates are RFC 3339.
/// The fields are described in docs/results.md.
pub fn of_run(run: &Run) -> Value {
    let (result, environment) = (&run.result, run.result.environment());
    json!({
        "version": VERSION,
        "kind": "LoadTest",
        "name": run.name,
        "namespace": run.namespace,
        "pipeline": run.pipeline,
        "verdict": verdict(run.verdict),
        "message": run.message,
        "validity": { "valid": run.validity.valid, "reason": run.validity.reason, "message": run.validity.message },
        "started": run.started.map(|at| at.to_string()),
        "finished": run.finished.map(|at| at.to_string()),
        "load": load(&run.load),
        "producers": run.producers,
        "dataset": run.dataset,
        "warmupSeconds": run.warmup.as_secs_f64(),
        "durationSeconds": run.duration.as_secs_f64(),
        "measuredSeconds": run.measured().map(|measured| measured.as_secs_f64()),
        "drainTimeoutSeconds": run.drain_timeout.as_secs_f64(),
        "messages": result.messages,
        "backlog": result.backlog,
        "rate": result.rate.as_ref().map(rate),
        "latencyMicros": result.latency_micros.as_ref().map(latency),
        "serviceLatencyMicros": result.service_latency_micros.as_ref().map(latency),
        "sendDelayMicros": result.send_delay_micros.as_ref().map(latency),
        "confidenceMicros": confidence(&result.confidence_micros.unwrap_or_default()),
        "stagesMicros": result.stages_micros.map(|stages| stages.map(latency)),
        "startSkewMicros": result.start_skew_micros,
        "accuracyPercent": result.accuracy_percent.as_deref().and_then(number),
        "unansweredPercent": result.unanswered_percent.as_deref().and_then(number),
        "slos": result.slos.iter().filter_map(slo).collect::<Vec<_>>(),
        "comparison": result.comparison.as_ref().map(comparison),
        "warnings": result.warnings,
        "environment": {
            "images": environment.images,
            "model": environment.model,
            "producerNodes": environment.producer_nodes,
            "sharedNodes": environment.shared_nodes,
            "resources": environment.resources,
            "annotations": environment.annotations,
            "clientSettings": environment.client_settings,
        },
        "intervals": intervals(run),
    })
}

/// An Experiment: each point with its LoadTests.
pub fn of_sweep(sweep: &Sweep) -> Value {
    json!({
        "version": VERSION,
        "kind": "Experiment",
        "name": sweep.name,
        "namespace": sweep.namespace,
        "message": sweep.message,
        "varies": match sweep.varied {
            Varied::Producers => "producers",
            Varied::Rate => "imagesPerSecond",
        },
        "points": sweep.points.iter().map(point).collect::<Vec<_>>(),
    })
}

fn point(point: &Point) -> Value {
    let spread = |percentile: fn(&Percentiles) -> Option<u64>| {
        point.spread(percentile).map(|spread| json!({ "median": spread.median, "low": spread.min, "high": spread.max }))
    };
    let repetitions = point.repetitions.iter().map(|repetition| {
        json!({
            "name": repetition.name,
            "verdict": repetition.verdict.map(verdict),
            "latencyMicros": repetition.latency.map(percentiles),
            "lost": repetition.lost,
            "achievedRate": repetition.achieved_rate,
        })
    });
    json!({
        "value": point.value,
        "repetitions": repetitions.collect::<Vec<_>>(),
        "spreadMicros": {
            "p50": spread(|latency| latency.p50),
            "p90": spread(|latency| latency.p90),
            "p95": spread(|latency| latency.p95),
            "p99": spread(|latency| latency.p99),
        },
    })
}

fn percentiles(Percentiles { p50, p90, p95, p99 }: Percentiles) -> Value {
    json!({ "p50": p50, "p90": p90, "p95": p95, "p99": p99 })
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Succeeded => "Succeeded",
        Verdict::Missed | Verdict::Regressed => "Missed",
        Verdict::Invalid => "Invalid",
        Verdict::Aborted => "Aborted",
    }
}

fn load(load: &Load) -> Value {
    match load {
        Load::Open { rate_per_producer, arrivals } => {
            json!({ "model": "open", "ratePerProducer": rate_per_producer, "arrivals": arrivals })
        }
        Load::Closed { outstanding, think_time } => json!({
            "model": "closed",
            "outstanding": outstanding,
            "thinkTimeSeconds": think_time.as_secs_f64(),
            "hidesWaiting": true,
        }),
    }
}

/// All percentiles, `null` where one falls on images without an answer.
pub fn latency(summary: &Summary) -> Value {
    let Summary { count, min, mean, p50, p90, p95, p99, p999, max } = summary;
    json!({
        "count": count, "min": min, "mean": mean, "p50": p50, "p90": p90, "p95": p95, "p99": p99, "p999": p999, "max": max,
    })
}

/// All intervals, `null` where there is none.
pub fn confidence(confidence: &Confidence) -> Value {
    let range = |range: Option<Range>| range.map(|Range { low, high }| json!({ "low": low, "high": high }));
    let Confidence { p50, p90, p95, p99 } = *confidence;
    json!({ "p50": range(p50), "p90": range(p90), "p95": range(p95), "p99": range(p99) })
}

fn rate(Rate { target, offered, achieved }: &Rate) -> Value {
    json!({ "target": target.as_deref().and_then(number), "offered": number(offered), "achieved": number(achieved) })
}

/// The API has decimal numbers as texts.
fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// None if its limit is none, which the API server refuses.
fn slo(slo: &SloResult) -> Option<Value> {
    let (bound, limit) = match slo.limit().ok()? {
        Limit::AtMost(limit) => ("max", limit),
        Limit::AtLeast(limit) => ("min", limit),
    };
    Some(json!({
        "metric": slo.metric,
        bound: limit,
        "unit": if slo.metric.is_percent() { "percent" } else { "microseconds" },
        "written": slo.written(),
        "observed": slo.observed,
        "met": slo.met,
    }))
}

fn comparison(comparison: &Comparison) -> Value {
    json!({
        "baseline": comparison.baseline,
        "maxRegressionPercent": f64::from(comparison.max_regression_percent),
        "verdict": comparison.verdict,
        "message": comparison.message,
        "metrics": comparison.metrics.iter().map(metric).collect::<Vec<_>>(),
        "environmentDifferences": comparison.environment_differences,
    })
}

fn metric(compared: &MetricComparison) -> Value {
    let change = compared.difference_micros;
    json!({
        "metric": compared.metric,
        "baselineMicros": compared.baseline_micros,
        "observedMicros": compared.observed_micros,
        "differenceMicros": change.map(|change| change.value),
        "differenceLow": change.and_then(|change| change.low),
        "differenceHigh": change.and_then(|change| change.high),
    })
}

/// Null if they were not kept.
fn intervals(run: &Run) -> Value {
    let Some(intervals) = &run.intervals else { return Value::Null };
    let length = intervals.length().as_secs();
    let list = (0u64..).zip(intervals.list()).map(|(index, interval)| {
        let latency = summarize(&(&interval.latency).into(), interval.scheduled);
        json!({
            "second": index * length,
            "scheduled": interval.scheduled,
            "answered": interval.answered,
            "p50Micros": latency.p50,
            "p95Micros": latency.p95,
        })
    });
    json!({ "lengthSeconds": length, "list": list.collect::<Vec<_>>() })
}
