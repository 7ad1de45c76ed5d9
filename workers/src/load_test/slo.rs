//! What a result has to keep, on the command line.

use std::{str::FromStr, time::Duration};

use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error},
};
use tailrace_crds::duration;
use tailrace_measure::slo::{Limit, Metric, Results};
use tailrace_report::values::Objective;

/// One number and its limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// What the limit is on.
    pub metric: Metric,
    limit: Limit,
    written: String,
}

/// A text is no objective.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSlo {
    /// There is no limit in it.
    #[error("\"{0}\" is no objective: write a metric, <= or >=, and a limit, such as P95<=50ms or AccuracyPercent>=85")]
    Form(String),
    /// Nothing has this name.
    #[error(
        "\"{0}\" is no metric: write P50, P90, P95, P99, P999, Max, Mean, LostPercent, AchievedRatePercent or AccuracyPercent"
    )]
    Metric(String),
    /// A share is not one.
    #[error("\"{0}\" is no limit of {1:?}: write a number from 0 to 100, such as 99.5")]
    Percent(String, Metric),
    /// A latency is not one.
    #[error(transparent)]
    Duration(#[from] duration::NotADuration),
}

impl FromStr for Slo {
    type Err = NoSlo;

    fn from_str(text: &str) -> Result<Self, NoSlo> {
        let at_most = text.split_once("<=").map(|parts| (parts, Limit::AtMost as fn(f64) -> Limit));
        let parts = at_most.or_else(|| text.split_once(">=").map(|parts| (parts, Limit::AtLeast as fn(f64) -> Limit)));
        let Some(((name, written), limit)) = parts else { return Err(NoSlo::Form(text.to_owned())) };
        let (name, written) = (name.trim(), written.trim());
        let metric = metric(name).ok_or_else(|| NoSlo::Metric(name.to_owned()))?;
        Ok(Self { metric, limit: limit(value(metric, written)?), written: written.to_owned() })
    }
}

impl Slo {
    /// How a result keeps it. `drain` is how long answers were waited for.
    pub fn judge(&self, results: &Results<'_>, drain: Duration) -> Objective {
        let Self { metric, limit, ref written } = *self;
        let observed = metric.observe(results);
        Objective {
            metric,
            limit,
            written: written.clone(),
            observed: observed.map(|value| metric.show(value, drain)),
            met: limit.is_kept_by(observed),
        }
    }
}

fn metric(name: &str) -> Option<Metric> {
    let name: serde::de::value::StrDeserializer<'_, Error> = name.into_deserializer();
    Metric::deserialize(name).ok()
}

/// In microseconds or percent.
fn value(metric: Metric, written: &str) -> Result<f64, NoSlo> {
    if metric.is_percent() {
        let percent = written.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
        return percent.ok_or_else(|| NoSlo::Percent(written.to_owned(), metric));
    }
    let limit: duration::Duration = written.parse()?;
    Ok(limit.get().as_micros() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objective_is_a_metric_and_its_limit() {
        let slo: Slo = "P95<=50ms".parse().unwrap();
        assert_eq!((slo.metric, slo.limit), (Metric::P95, Limit::AtMost(50_000.0)));
        let slo: Slo = "AccuracyPercent >= 85.5".parse().unwrap();
        assert_eq!((slo.metric, slo.limit), (Metric::AccuracyPercent, Limit::AtLeast(85.5)));
    }

    #[test]
    fn what_is_no_objective_is_refused_with_what_to_write() {
        let refused = |text: &str| text.parse::<Slo>().unwrap_err().to_string();
        assert!(refused("P95").contains("such as P95<=50ms"));
        assert!(refused("P93<=50ms").contains("\"P93\" is no metric: write P50"));
        assert!(refused("P95<=50").contains("write a number with a unit"));
        assert!(refused("LostPercent<=150").contains("from 0 to 100"));
    }
}
