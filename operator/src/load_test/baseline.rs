//! How a result differs from that of the baseline.

use std::collections::{BTreeMap, BTreeSet};

use tailrace_crds::{
    LoadTest,
    load_test::{Comparison, Environment},
};
use tailrace_measure::intervals::Intervals;

use super::observation::{Baseline, Observation};

/// The comparison that the spec asks for.
pub fn compare(seen: &Observation, observed: &Intervals, environment: &Environment) -> Option<Comparison> {
    let reference = seen.load_test.spec.baseline_ref.as_ref()?;
    let (name, allowed) = (&reference.name, reference.max_regression_percent);
    let Some((test, intervals)) = seen.baseline.as_ref().and_then(measured) else {
        let why = format!("the histograms of the baseline \"{name}\" cannot be read any more");
        return Some(Comparison::unknown(name, allowed, why));
    };
    let environment_differences = differences(test, &seen.load_test, environment);
    Some(Comparison { environment_differences, ..Comparison::of(name, allowed, &intervals, observed) })
}

fn measured(baseline: &Baseline) -> Option<(&LoadTest, Intervals)> {
    let intervals = baseline.files.as_ref()?.read();
    let intervals = intervals.inspect_err(|error| tracing::warn!(baseline.name, "histograms cannot be read: {error}"));
    Some((baseline.test.as_ref()?, intervals.ok()?))
}

/// In what two tests were measured differently.
fn differences(baseline: &LoadTest, test: &LoadTest, environment: &Environment) -> Vec<String> {
    let before = baseline.status.as_ref().map(|status| status.result.environment()).unwrap_or_default();
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
    use tailrace_crds::load_test::RegressionVerdict;
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
