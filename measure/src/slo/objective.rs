use std::{str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::{
    Deserialize, Serialize,
    de::{IntoDeserializer, value::Error},
};

use super::{Limit, Metric, Results};
use crate::duration::{self, NotADuration};

/// What a result has to keep: a metric and one limit, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slo {
    /// What the limit is on.
    pub metric: Metric,
    /// The largest value that is good.
    pub max: Option<String>,
    /// The smallest value that is good.
    pub min: Option<String>,
}

/// Whether an SLO was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SloResult {
    /// The metric.
    pub metric: Metric,
    /// The largest value that meets the objective.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// The smallest value that meets the objective.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// The measured value, such as `31.5ms` or `99.8`; `>30s` if it falls on images without an answer; absent if there is
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// Whether the objective was met.
    pub met: bool,
}

/// A text is no objective.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSlo {
    /// There is no limit in it, or there are two.
    #[error("\"{0}\" is no objective: write a metric, <= or >=, and a limit, such as P95<=50ms or AccuracyPercent>=85")]
    Form(String),
    /// Nothing has this name.
    #[error(
        "\"{0}\" is no metric: write P50, P90, P95, P99, P999, Max, Mean, LostPercent, UnansweredPercent, AchievedRatePercent or \
         AccuracyPercent"
    )]
    Metric(String),
    /// A share is not one.
    #[error("\"{0}\" is no limit of {1:?}: write a number from 0 to 100, such as 99.5")]
    Percent(String, Metric),
    /// A latency is not one.
    #[error(transparent)]
    Duration(#[from] NotADuration),
}

impl FromStr for Slo {
    type Err = NoSlo;

    /// `P95<=50ms`
    fn from_str(text: &str) -> Result<Self, NoSlo> {
        let (name, max, min) = match (text.split_once("<="), text.split_once(">=")) {
            (Some((name, max)), _) => (name, Some(max), None),
            (None, Some((name, min))) => (name, None, Some(min)),
            (None, None) => return Err(NoSlo::Form(text.to_owned())),
        };
        let metric = metric(name.trim()).ok_or_else(|| NoSlo::Metric(name.trim().to_owned()))?;
        let [max, min] = [max, min].map(|limit| limit.map(|limit| limit.trim().to_owned()));
        let slo = Self { metric, max, min };
        slo.limit()?;
        Ok(slo)
    }
}

impl Slo {
    /// The limit, in microseconds or percent.
    ///
    /// # Errors
    /// [`NoSlo`] says what to write instead.
    pub fn limit(&self) -> Result<Limit, NoSlo> {
        limit(self.metric, &self.max, &self.min)
    }

    /// How a result keeps it; a limit that is none is not kept. `drain` is how long answers were waited for.
    pub fn judge(&self, results: &Results<'_>, drain: Duration) -> SloResult {
        let observed = self.metric.observe(results);
        SloResult {
            metric: self.metric,
            max: self.max.clone(),
            min: self.min.clone(),
            observed: observed.map(|value| self.metric.show(value, drain)),
            met: self.limit().is_ok_and(|limit| limit.is_kept_by(observed)),
        }
    }
}

impl SloResult {
    /// The limit, in microseconds or percent.
    ///
    /// # Errors
    /// It is none, which neither the API server nor the command line admits.
    pub fn limit(&self) -> Result<Limit, NoSlo> {
        limit(self.metric, &self.max, &self.min)
    }

    /// The limit as it was written, such as `50ms` or `99.5`.
    pub fn written(&self) -> &str {
        self.max.as_deref().or(self.min.as_deref()).unwrap_or_default()
    }

    /// Such as `P95 at most 50ms` or `AchievedRatePercent at least 99 %`.
    pub fn title(&self) -> String {
        format!("{:?} {} {}{}", self.metric, self.bound(), self.written(), self.unit())
    }

    /// Such as `P95 is 50.431ms and was to be at most 50ms`.
    pub fn sentence(&self) -> String {
        let (observed, bound) = (self.observed(), self.bound());
        format!("{:?} is {observed} and was to be {bound} {}{}", self.metric, self.written(), self.unit())
    }

    /// What was observed, with its unit, which for a latency is that of the limit.
    pub fn observed(&self) -> String {
        let in_limits_unit = |observed: &str| {
            let millis: f64 = observed.strip_suffix("ms")?.parse().ok()?;
            let limit = self.written().trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            if !limit.chars().all(char::is_alphabetic) {
                return None;
            }
            let in_nanos = duration::parse(&format!("1{limit}")).ok()?.as_nanos();
            let value = millis * 1e6 / in_nanos as f64;
            Some(format!("{}{limit}", (value * 1e6).round() / 1e6))
        };
        self.observed.as_ref().map_or_else(
            || "not known".to_owned(),
            |observed| in_limits_unit(observed).unwrap_or_else(|| format!("{observed}{}", self.unit())),
        )
    }

    /// `met` or `missed`.
    pub fn verdict(&self) -> &'static str {
        if self.met { "met" } else { "missed" }
    }

    /// The largest latency that is good, in microseconds; none of another limit.
    pub fn most_micros(&self) -> Option<f64> {
        match self.limit() {
            Ok(Limit::AtMost(micros)) if !self.metric.is_percent() => Some(micros),
            _ => None,
        }
    }

    fn bound(&self) -> &'static str {
        if self.max.is_some() { "at most" } else { "at least" }
    }

    fn unit(&self) -> &'static str {
        if self.metric.is_percent() { " %" } else { "" }
    }
}

/// The SLOs that are missed in one sentence, or none.
pub fn missed(slos: &[SloResult]) -> Option<String> {
    let missed: Vec<String> = slos.iter().filter(|slo| !slo.met).map(SloResult::sentence).collect();
    (!missed.is_empty()).then(|| missed.join("; "))
}

fn metric(name: &str) -> Option<Metric> {
    let name: serde::de::value::StrDeserializer<'_, Error> = name.into_deserializer();
    Metric::deserialize(name).ok()
}

fn limit(metric: Metric, max: &Option<String>, min: &Option<String>) -> Result<Limit, NoSlo> {
    match (max, min) {
        (Some(max), None) => value(metric, max).map(Limit::AtMost),
        (None, Some(min)) => value(metric, min).map(Limit::AtLeast),
        _ => Err(NoSlo::Form(format!("{metric:?}"))),
    }
}

/// In microseconds or percent.
fn value(metric: Metric, written: &str) -> Result<f64, NoSlo> {
    if metric.is_percent() {
        let percent = written.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
        return percent.ok_or_else(|| NoSlo::Percent(written.to_owned(), metric));
    }
    Ok(duration::parse(written)?.as_micros() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{accounting::Counts, summary::Summary, validity::Target};

    #[test]
    fn an_objective_is_a_metric_and_its_limit() {
        let slo: Slo = "P95<=50ms".parse().unwrap();
        assert_eq!((slo.metric, slo.limit()), (Metric::P95, Ok(Limit::AtMost(50_000.0))));
        let slo: Slo = "AccuracyPercent >= 85.5".parse().unwrap();
        assert_eq!((slo.metric, slo.limit()), (Metric::AccuracyPercent, Ok(Limit::AtLeast(85.5))));
    }

    #[test]
    fn what_is_no_objective_is_refused_with_what_to_write() {
        let refused = |text: &str| text.parse::<Slo>().unwrap_err().to_string();
        assert!(refused("P95").contains("such as P95<=50ms"));
        assert!(refused("P93<=50ms").contains("\"P93\" is no metric: write P50"));
        assert!(refused("P95<=50").contains("write a number with a unit"));
        assert!(refused("LostPercent<=150").contains("from 0 to 100"));
    }

    #[test]
    fn an_objective_without_a_limit_or_with_two_is_not_kept() {
        let slo = Slo { metric: Metric::P95, max: None, min: None };
        assert!(slo.limit().is_err());
        let [max, min] = ["1h", "1ms"].map(|limit| Some(limit.to_owned()));
        assert!(Slo { metric: Metric::P95, max, min }.limit().is_err());
    }

    /// A thousand images of which four were lost; the p95 is 50.431 ms.
    fn judged(slos: &[&str]) -> Vec<SloResult> {
        let counts = Counts { scheduled: 1_000, sent: 1_000, received: 996, lost: 4, ..Counts::default() };
        let latency = Summary { count: 996, p95: Some(50_431), ..Summary::default() };
        let (duration, target) = (Duration::from_secs(10), Some(Target::PerSecond(100)));
        let results = Results { latency: &latency, counts: &counts, correct: 900, compared: 996, duration, target };
        slos.iter().map(|slo| slo.parse::<Slo>().unwrap().judge(&results, Duration::from_secs(30))).collect()
    }

    #[test]
    fn each_slo_has_what_was_observed_and_a_verdict() {
        let cases = [
            ("P95<=50.431ms", "50.431ms", true),
            ("P95<=50ms", "50.431ms", false),
            ("Max<=1h", ">30s", false),
            ("LostPercent<=0.4", "0.4", true),
            ("LostPercent<=0", "0.4", false),
            ("AchievedRatePercent>=99.6", "99.6", true),
            ("AccuracyPercent>=90.5", "90.361", false),
        ];
        for (slo, observed, met) in cases {
            let judged = &judged(&[slo])[0];
            assert_eq!((judged.observed.as_deref(), judged.met), (Some(observed), met), "{slo}");
        }
    }

    #[test]
    fn a_sentence_has_one_unit() {
        let sentence = |slo: &str| judged(&[slo])[0].sentence();
        for (slo, said) in [
            ("P95<=0.01s", "P95 is 0.050431s and was to be at most 0.01s"),
            ("P95<=100us", "P95 is 50431us and was to be at most 100us"),
            ("P95<=100µs", "P95 is 50431µs and was to be at most 100µs"),
            ("P95<=0.0001m", "P95 is 0.000841m and was to be at most 0.0001m"),
            ("P95<=0.00001h", "P95 is 0.000014h and was to be at most 0.00001h"),
            ("P95<=1000ns", "P95 is 50431000ns and was to be at most 1000ns"),
            ("P95<=50ms", "P95 is 50.431ms and was to be at most 50ms"),
            ("P95<=0s50ms", "P95 is 50.431ms and was to be at most 0s50ms"),
            ("Max<=1s", "Max is >30s and was to be at most 1s"),
        ] {
            assert_eq!(sentence(slo), said);
        }
    }

    #[test]
    fn what_is_missed_is_said_with_both_numbers() {
        let judged = judged(&["P95<=50ms", "LostPercent<=1", "AccuracyPercent>=95"]);
        assert_eq!(
            missed(&judged).unwrap(),
            "P95 is 50.431ms and was to be at most 50ms; AccuracyPercent is 90.361 % and was to be at least 95 %"
        );
        assert_eq!(missed(&[]), None);
    }
}
