//! Whether a result keeps the SLOs of its LoadTest.

use std::time::Duration;

use tailrace_crds::{
    duration,
    load_test::{Slo, SloResult},
};
use tailrace_measure::slo::{Limit, Results};

/// How each SLO is kept. `drain` is how long answers were waited for.
pub fn judge(slos: &[Slo], results: &Results<'_>, drain: Duration) -> Vec<SloResult> {
    slos.iter().map(|slo| judge_one(slo, results, drain)).collect()
}

fn judge_one(slo: &Slo, results: &Results<'_>, drain: Duration) -> SloResult {
    let observed = slo.metric.observe(results);
    SloResult {
        metric: slo.metric,
        max: slo.max.clone(),
        min: slo.min.clone(),
        observed: observed.map(|value| slo.metric.show(value, drain)),
        met: limit(slo).is_some_and(|limit| limit.is_kept_by(observed)),
    }
}

/// The first SLO whose quantile has fewer than ten of so many images above it, in one sentence.
pub fn too_few_images(slos: &[Slo], scheduled: u64) -> Option<String> {
    slos.iter().find_map(|slo| slo.metric.too_few_images(scheduled))
}

/// The SLOs that are missed in one sentence, or none.
pub fn missed(judged: &[SloResult]) -> Option<String> {
    let missed: Vec<String> = judged.iter().filter(|slo| !slo.met).map(sentence).collect();
    (!missed.is_empty()).then(|| missed.join("; "))
}

/// `2/3` are met; none of none.
pub fn column(judged: &[SloResult]) -> Option<String> {
    let met = judged.iter().filter(|slo| slo.met).count();
    (!judged.is_empty()).then(|| format!("{met}/{}", judged.len()))
}

fn sentence(slo: &SloResult) -> String {
    let observed = slo.observed.as_deref().unwrap_or("not known");
    let limit = match (&slo.max, &slo.min) {
        (Some(max), _) => format!("at most {max}"),
        (None, min) => format!("at least {}", min.as_deref().unwrap_or_default()),
    };
    let unit = if slo.metric.is_percent() { " %" } else { "" };
    format!("{:?} is {observed}{unit} and was to be {limit}{unit}", slo.metric)
}

/// None if the text is no limit, which the API server refuses.
fn limit(slo: &Slo) -> Option<Limit> {
    let value = |text: &String| {
        if slo.metric.is_percent() {
            return text.parse().ok();
        }
        let duration: duration::Duration = text.parse().ok()?;
        Some(duration.get().as_micros() as f64)
    };
    match (&slo.max, &slo.min) {
        (Some(max), None) => value(max).map(Limit::AtMost),
        (None, Some(min)) => value(min).map(Limit::AtLeast),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tailrace_measure::{accounting::Counts, summary::Summary, validity::Target};

    use super::*;

    const DRAIN: Duration = Duration::from_secs(30);

    /// A thousand images of which four were lost; the p95 is 50.431 ms.
    fn judged(slos: serde_json::Value) -> Vec<SloResult> {
        let slos: Vec<Slo> = serde_json::from_value(slos).unwrap();
        let counts = Counts { scheduled: 1_000, sent: 1_000, received: 996, lost: 4, ..Counts::default() };
        let latency = Summary { count: 996, p95: Some(50_431), ..Summary::default() };
        let (duration, target) = (Duration::from_secs(10), Some(Target::PerSecond(100)));
        judge(
            &slos,
            &Results { latency: &latency, counts: &counts, correct: 900, compared: 996, duration, target },
            DRAIN,
        )
    }

    fn verdicts(slos: serde_json::Value) -> Vec<(String, bool)> {
        judged(slos).into_iter().map(|slo| (slo.observed.unwrap_or_default(), slo.met)).collect()
    }

    #[test]
    fn each_slo_has_what_was_observed_and_a_verdict() {
        let slos = json!([
            { "metric": "P95", "max": "50.431ms" }, { "metric": "P95", "max": "50ms" }, { "metric": "Max", "max": "1h" },
            { "metric": "LostPercent", "max": "0.4" }, { "metric": "LostPercent", "max": "0" },
            { "metric": "AchievedRatePercent", "min": "99.6" }, { "metric": "AccuracyPercent", "min": "90.5" },
        ]);
        let expected = [
            ("50.431ms", true),
            ("50.431ms", false),
            (">30s", false),
            ("0.4", true),
            ("0.4", false),
            ("99.6", true),
            ("90.361", false),
        ];
        assert_eq!(verdicts(slos), expected.map(|(observed, met)| (observed.to_owned(), met)));
    }

    #[test]
    fn what_is_missed_is_said_with_both_numbers() {
        let judged = judged(json!([
            { "metric": "P95", "max": "50ms" }, { "metric": "LostPercent", "max": "1" },
            { "metric": "AccuracyPercent", "min": "95" },
        ]));
        assert_eq!(
            missed(&judged).unwrap(),
            "P95 is 50.431ms and was to be at most 50ms; AccuracyPercent is 90.361 % and was to be at least 95 %"
        );
        assert_eq!((column(&judged).as_deref(), column(&[])), (Some("1/3"), None));
        assert_eq!(missed(&[]), None);
    }

    #[test]
    fn a_quantile_wants_ten_images_above_it() {
        let slos: Vec<Slo> = serde_json::from_value(json!([{ "metric": "P99", "max": "1s" }])).unwrap();
        assert_eq!(too_few_images(&slos, 1_000), None);
        let sentence = too_few_images(&slos, 999).unwrap();
        assert!(sentence.starts_with("an SLO is on P99, for which 1000 images are wanted, and 999 were"), "{sentence}");
    }
}
