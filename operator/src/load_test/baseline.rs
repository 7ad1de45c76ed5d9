//! How a result differs from that of the baseline.

use std::collections::{BTreeMap, BTreeSet};

use tailrace_crds::{
    LoadTest,
    load_test::{
        BaselineRef, Comparison, Difference, DifferencePercent, Environment, LoadTestStatus, MetricComparison,
        RegressionVerdict,
    },
};
use tailrace_measure::{
    confidence::{self, Change, FEWEST_INTERVALS, Verdict},
    display,
    intervals::Intervals,
    signed::signed,
};

use super::observation::{Baseline, Observation};

/// The comparison that the spec asks for.
pub fn compare(seen: &Observation, observed: &Intervals, environment: &Environment) -> Option<Comparison> {
    let reference = seen.load_test.spec.baseline_ref.as_ref()?;
    let unknown = |why: String| Comparison {
        baseline: reference.name.clone(),
        max_regression_percent: reference.max_regression_percent,
        verdict: RegressionVerdict::Inconclusive,
        message: why,
        metrics: vec![],
        environment_differences: vec![],
    };
    let Some((test, intervals)) = seen.baseline.as_ref().and_then(measured) else {
        return Some(unknown(format!("the histograms of the baseline \"{}\" cannot be read any more", reference.name)));
    };
    let environment_differences = differences(test, &seen.load_test, environment);
    let allowed = f64::from(reference.max_regression_percent);
    let Some(compared) = confidence::compare(&intervals, observed, allowed) else {
        let short =
            format!("the runs are too short to be compared: both need {FEWEST_INTERVALS} intervals of a second");
        return Some(Comparison { environment_differences, ..unknown(short) });
    };
    Some(Comparison {
        verdict: verdict(compared.verdict),
        message: sentence(reference, &compared),
        metrics: compared.metrics.iter().map(metric).collect(),
        environment_differences,
        ..unknown(String::new())
    })
}

fn measured(baseline: &Baseline) -> Option<(&LoadTest, Intervals)> {
    let intervals = baseline.files.as_ref()?.read();
    let intervals = intervals.inspect_err(|error| tracing::warn!(baseline.name, "histograms cannot be read: {error}"));
    Some((baseline.test.as_ref()?, intervals.ok()?))
}

fn verdict(verdict: Verdict) -> RegressionVerdict {
    match verdict {
        Verdict::NotRegressed => RegressionVerdict::NotRegressed,
        Verdict::Inconclusive => RegressionVerdict::Inconclusive,
        Verdict::Regressed => RegressionVerdict::Regressed,
    }
}

/// Of the percentile that decides.
fn sentence(reference: &BaselineRef, compared: &confidence::Comparison) -> String {
    let BaselineRef { name, max_regression_percent: allowed } = reference;
    let percent = |metric: &&confidence::MetricComparison| metric.percent.map_or(f64::INFINITY, |change| change.value);
    let worst = compared.metrics.iter().filter(|metric| metric.verdict == compared.verdict);
    let Some(worst) = worst.max_by(|a, b| percent(a).total_cmp(&percent(b))) else { return String::new() };
    let value = |micros: Option<u64>| micros.map_or_else(|| "unbounded".to_owned(), display::micros);
    let numbers =
        format!("{:?} is {} and was {} in \"{name}\"", worst.metric, value(worst.observed), value(worst.baseline));
    let change = worst
        .percent
        .map(|Change { value, low, high }| format!(" ({value:+.1} %, 95 % confidence {low:+.1} to {high:+.1} %)"));
    let judgement = match compared.verdict {
        Verdict::NotRegressed => format!("not slower than the {allowed} % that are allowed"),
        Verdict::Inconclusive => {
            format!("whether that is slower than the {allowed} % that are allowed is not sure: measure longer")
        }
        Verdict::Regressed => format!("slower than the {allowed} % that are allowed"),
    };
    format!("{numbers}{}: {judgement}", change.unwrap_or_default())
}

fn metric(compared: &confidence::MetricComparison) -> MetricComparison {
    let finite = |value: f64| value.is_finite().then_some(value);
    let whole = |value: f64| value.round() as i64;
    let decimal = |value: f64| format!("{value:.1}");
    MetricComparison {
        metric: compared.metric,
        baseline_micros: compared.baseline.map(signed),
        observed_micros: compared.observed.map(signed),
        difference_micros: compared.micros.map(|Change { value, low, high }| Difference {
            value: whole(value),
            low: finite(low).map(whole),
            high: finite(high).map(whole),
        }),
        difference_percent: compared.percent.map(|Change { value, low, high }| DifferencePercent {
            value: decimal(value),
            low: finite(low).map(decimal),
            high: finite(high).map(decimal),
        }),
        verdict: verdict(compared.verdict),
    }
}

/// In what two tests were measured differently.
fn differences(baseline: &LoadTest, test: &LoadTest, environment: &Environment) -> Vec<String> {
    let LoadTestStatus { environment: before, .. } = baseline.status.clone().unwrap_or_default();
    let before = before.unwrap_or_default();
    let mut differences = Vec::new();
    let mut compare = |what: &str, before: String, after: String| {
        if before != after {
            differences.push(format!("{what}: {after}, and {before} in the baseline"));
        }
    };
    let (then, now) = (&baseline.spec, &test.spec);
    compare("Pipeline", then.pipeline_ref.name.clone(), now.pipeline_ref.name.clone());
    compare("producers", then.producers.to_string(), now.producers.to_string());
    compare("load", format!("{:?}", then.load), format!("{:?}", now.load));
    compare("warmup", then.warmup.to_string(), now.warmup.to_string());
    compare("duration", then.duration.to_string(), now.duration.to_string());
    compare("dataset", format!("{:?}", then.dataset), format!("{:?}", now.dataset));
    let model = |environment: &Environment| {
        environment.model.as_ref().map_or_else(|| "unknown".to_owned(), |model| model.sha256.clone())
    };
    compare("model", model(&before), model(environment));
    compare("nodes of the producers", nodes(&before), nodes(environment));
    compare("shared nodes", before.shared_nodes.join(" "), environment.shared_nodes.join(" "));
    for (what, before, after) in [
        ("image", &before.images, &environment.images),
        ("resources", &before.resources, &environment.resources),
        ("annotation", &annotations(&before), &annotations(environment)),
        ("setting", &before.client_settings, &environment.client_settings),
    ] {
        for key in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let value = |of: &BTreeMap<String, String>| of.get(key).cloned().unwrap_or_else(|| "none".to_owned());
            compare(&format!("{what} of {key}"), value(before), value(after));
        }
    }
    differences
}

/// By part and key, such as `producer: sidecar.istio.io/inject`.
fn annotations(environment: &Environment) -> BTreeMap<String, String> {
    let all = environment.annotations.iter().flat_map(|(part, list)| list.iter().map(move |one| (part, one)));
    all.map(|(part, (key, value))| (format!("{part}: {key}"), value.clone())).collect()
}

fn nodes(environment: &Environment) -> String {
    let nodes: BTreeSet<_> = environment.producer_nodes.iter().map(String::as_str).collect();
    nodes.into_iter().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use serde_json::json;
    use tailrace_measure::intervals::Files;

    use super::*;
    use crate::load_test::fixtures::{load_test, new_test};

    /// So many seconds of fifty images each, around `millis`.
    fn intervals(seconds: u64, millis: u64) -> Intervals {
        let mut intervals = Intervals::new(Duration::from_secs(seconds));
        for number in 0..seconds * 50 {
            let intended = Duration::from_millis(number * 20);
            let latency = Duration::from_micros(millis * 1_000 + number * 37 % 50 * 20);
            intervals.count_scheduled(intended);
            intervals.record(intended, intended + latency, Some(latency));
        }
        intervals
    }

    fn compared(before: &Intervals, after: &Intervals) -> Comparison {
        let mut seen = new_test();
        seen.load_test.spec.baseline_ref =
            Some(serde_json::from_value(json!({ "name": "main", "maxRegressionPercent": 5 })).unwrap());
        let mut test = load_test("main", 0);
        test.spec.producers = 3;
        let files = Files::write(before, SystemTime::now()).unwrap();
        seen.baseline =
            Some(Baseline { name: "main".into(), test: Some(test), waits_for_this: false, files: Some(files) });
        compare(&seen, after, &Environment::default()).unwrap()
    }

    #[test]
    fn a_regression_is_said_with_its_numbers_and_their_confidence() {
        let comparison = compared(&intervals(30, 20), &intervals(30, 30));
        assert_eq!(comparison.verdict, RegressionVerdict::Regressed);
        let message = &comparison.message;
        assert!(message.contains("and was 20ms in \"main\" (+4"), "{message}");
        assert!(message.contains("95 % confidence"), "{message}");
        assert!(message.ends_with("slower than the 5 % that are allowed"), "{message}");
        assert_eq!(comparison.metrics.len(), 3);
        assert!(comparison.metrics[0].difference_micros.as_ref().is_some_and(|change| change.value > 9_000));
    }

    #[test]
    fn the_same_again_is_not_slower() {
        let comparison = compared(&intervals(30, 20), &intervals(40, 20));
        assert_eq!(comparison.verdict, RegressionVerdict::NotRegressed, "{}", comparison.message);
    }

    #[test]
    fn short_runs_say_that_they_are() {
        let comparison = compared(&intervals(30, 20), &intervals(10, 30));
        assert_eq!(comparison.verdict, RegressionVerdict::Inconclusive);
        assert!(comparison.message.contains("too short"), "{}", comparison.message);
    }

    #[test]
    fn what_was_different_is_said() {
        let comparison = compared(&intervals(30, 20), &intervals(30, 20));
        assert_eq!(comparison.environment_differences, ["producers: 2, and 3 in the baseline"]);
    }
}
