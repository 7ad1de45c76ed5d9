//! Objectives: which number has to be at most, or at least, how much.

mod objective;

pub use objective::{NoSlo, Slo, SloResult, missed};

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{accounting::Counts, display, summary::Summary, validity::Target};

/// What a limit is on.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The median of the latency.
    P50,
    /// The 90th percentile of the latency.
    P90,
    /// The 95th percentile of the latency.
    P95,
    /// The 99th percentile of the latency.
    P99,
    /// The 99.9th percentile of the latency.
    P999,
    /// The largest latency.
    Max,
    /// The mean latency.
    Mean,
    /// Images lost, in percent of those scheduled.
    LostPercent,
    /// Images without a label, in percent of those scheduled: lost, answered with an error, or not sent at all.
    UnansweredPercent,
    /// Images answered until the end of the measurement, in percent of those that an open load was to send.
    AchievedRatePercent,
    /// Right labels, in percent of those whose right one is known.
    AccuracyPercent,
}

/// What the number has to be, in the unit of the metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
}

/// A result of all producers together.
#[derive(Clone, Copy, Debug)]
pub struct Results<'a> {
    /// Of the latency.
    pub latency: &'a Summary,
    /// What became of the images of the measurement.
    pub counts: &'a Counts,
    /// Answers with the right label.
    pub correct: u64,
    /// Answers whose label was compared with the right one.
    pub compared: u64,
    /// The length of the measurement.
    pub duration: Duration,
    /// What was to be sent; none for a closed load.
    pub target: Option<Target>,
}

impl Metric {
    /// Whether it is a share in percent, and not a latency.
    pub fn is_percent(self) -> bool {
        matches!(self, Self::LostPercent | Self::UnansweredPercent | Self::AchievedRatePercent | Self::AccuracyPercent)
    }

    /// The number, in microseconds or percent. Infinite for a latency that falls on images without an answer, and so
    /// the mean as soon as there is one of them; none where there is nothing to look at.
    pub fn observe(self, results: &Results<'_>) -> Option<f64> {
        let Results { latency, counts, correct, compared, .. } = *results;
        let latency_or_infinite = |value: Option<u64>| {
            let infinite = (counts.scheduled > 0).then_some(f64::INFINITY);
            value.map(|micros| micros as f64).or(infinite)
        };
        match self {
            Self::P50 => latency_or_infinite(latency.p50),
            Self::P90 => latency_or_infinite(latency.p90),
            Self::P95 => latency_or_infinite(latency.p95),
            Self::P99 => latency_or_infinite(latency.p99),
            Self::P999 => latency_or_infinite(latency.p999),
            Self::Max => latency_or_infinite(latency.max),
            Self::Mean => latency_or_infinite(latency.mean.filter(|_| latency.count == counts.scheduled)),
            Self::LostPercent => percent(counts.lost, counts.scheduled as f64),
            Self::UnansweredPercent => percent(counts.unanswered(), counts.scheduled as f64),
            Self::AchievedRatePercent => {
                percent(counts.answered_in_time(), results.target?.images(counts, results.duration))
            }
            Self::AccuracyPercent => percent(correct, compared as f64),
        }
    }

    /// So many images must be scheduled for the quantile q to mean something: 10 / (1 - q), so that ten lie above it.
    pub fn fewest_images(self) -> u64 {
        match self {
            Self::P50 => 20,
            Self::P90 => 100,
            Self::P95 => 200,
            Self::P99 => 1_000,
            Self::P999 => 10_000,
            Self::Max | Self::Mean => 1,
            Self::LostPercent | Self::UnansweredPercent | Self::AchievedRatePercent | Self::AccuracyPercent => 1,
        }
    }

    /// In one sentence that fewer than [`Metric::fewest_images`] were scheduled; none if they were enough.
    pub fn too_few_images(self, scheduled: u64) -> Option<String> {
        let fewest = self.fewest_images();
        (scheduled < fewest).then(|| {
            format!(
                "an SLO is on {self:?}, for which {fewest} images are wanted, and {scheduled} were scheduled: measure longer \
                 or at a higher rate"
            )
        })
    }

    /// A number as [`Metric::observe`] gives it, with all digits, so that it can be compared with the limit: `50.431ms`,
    /// `99.8`, or `>30s` where it is infinite. `drain` is how long answers were waited for.
    pub fn show(self, value: f64, drain: Duration) -> String {
        let digits = |value: f64| format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned();
        match value {
            infinite if infinite.is_infinite() => display::unbounded(drain),
            percent if self.is_percent() => digits(percent),
            micros => format!("{}ms", digits(micros / 1_000.0)),
        }
    }
}

impl Limit {
    /// Whether a number keeps it. Nothing observed keeps no limit.
    pub fn is_kept_by(self, observed: Option<f64>) -> bool {
        observed.is_some_and(|observed| match self {
            Self::AtMost(limit) => observed <= limit,
            Self::AtLeast(limit) => observed >= limit,
        })
    }
}

fn percent(part: u64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part as f64 * 100.0 / whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{histogram::LatencyHistogram, summary::summarize};

    /// A hundred images within 10 s: latencies of 1 to 90 ms, and ten that were lost; 81 of 90 labels are right.
    fn observe(metric: Metric, target: Option<Target>) -> Option<f64> {
        observe_drained(metric, target, 0)
    }

    /// The same with so many of the answers in the drain time.
    fn observe_drained(metric: Metric, target: Option<Target>, drained: u64) -> Option<f64> {
        let mut histogram = LatencyHistogram::new();
        (1..=90).for_each(|millis| histogram.record(millis * 1_000).unwrap());
        let counts = Counts { scheduled: 100, sent: 100, received: 90, drained, lost: 10, ..Counts::default() };
        let latency = summarize(&histogram, counts.scheduled);
        let duration = Duration::from_secs(10);
        metric.observe(&Results { latency: &latency, counts: &counts, correct: 81, compared: 90, duration, target })
    }

    #[test]
    fn a_percentile_that_falls_on_lost_images_keeps_no_upper_limit() {
        let p90 = observe(Metric::P90, None);
        assert!(p90.is_some_and(|micros| (90_000.0..90_100.0).contains(&micros)), "{p90:?}");
        for metric in [Metric::P95, Metric::Max, Metric::Mean] {
            assert_eq!(observe(metric, None), Some(f64::INFINITY), "{metric:?}");
            assert!(!Limit::AtMost(3.6e9).is_kept_by(observe(metric, None)));
        }
    }

    #[test]
    fn shares_are_in_percent() {
        assert_eq!(observe(Metric::LostPercent, None), Some(10.0));
        assert_eq!(observe(Metric::AccuracyPercent, None), Some(90.0));
        assert_eq!(observe(Metric::AchievedRatePercent, Some(Target::PerSecond(12))), Some(75.0));
        assert_eq!(observe(Metric::AchievedRatePercent, Some(Target::Scheduled)), Some(90.0));
        assert_eq!(observe(Metric::AchievedRatePercent, None), None, "a closed load has no target");
    }

    #[test]
    fn what_is_answered_in_the_drain_time_is_not_achieved() {
        let [fixed, random] = [Target::PerSecond(10), Target::Scheduled].map(Some);
        for (drained, target, achieved) in [(0, fixed, 90.0), (30, fixed, 60.0), (30, random, 60.0), (90, fixed, 0.0)] {
            assert_eq!(observe_drained(Metric::AchievedRatePercent, target, drained), Some(achieved), "{drained}");
        }
        assert_eq!(observe_drained(Metric::LostPercent, fixed, 90), Some(10.0), "what is late is not lost");
    }

    #[test]
    fn everything_without_a_label_is_unanswered() {
        let latency = Summary::default();
        let observe = |counts: Counts, metric: Metric| {
            let duration = Duration::from_secs(10);
            metric.observe(&Results {
                latency: &latency,
                counts: &counts,
                correct: 0,
                compared: 0,
                duration,
                target: None,
            })
        };
        let all = Counts { scheduled: 40, ..Counts::default() };
        let not_sent = Counts { send_errors: 16, sent: 24, received: 24, ..all };
        let errors = Counts { sent: 40, received: 40, answer_errors: 4, ..all };
        let each = Counts { send_errors: 1, sent: 39, lost: 2, received: 37, answer_errors: 3, ..all };
        for (counts, unanswered, lost) in [(not_sent, 40.0, 0.0), (errors, 10.0, 0.0), (each, 15.0, 5.0)] {
            assert_eq!(counts.check(), Ok(()));
            assert_eq!(observe(counts, Metric::UnansweredPercent), Some(unanswered), "{counts:?}");
            assert_eq!(observe(counts, Metric::LostPercent), Some(lost), "{counts:?}");
        }
        assert_eq!(observe(Counts::default(), Metric::UnansweredPercent), None);
    }

    #[test]
    fn a_limit_itself_keeps_it() {
        assert!(Limit::AtMost(10.0).is_kept_by(observe(Metric::LostPercent, None)));
        assert!(Limit::AtLeast(90.0).is_kept_by(observe(Metric::AccuracyPercent, None)));
        assert!(!Limit::AtMost(9.9).is_kept_by(observe(Metric::LostPercent, None)));
        assert!(!Limit::AtLeast(90.1).is_kept_by(observe(Metric::AccuracyPercent, None)));
        assert!(!Limit::AtMost(1.0).is_kept_by(None));
    }

    #[test]
    fn ten_images_lie_above_a_quantile() {
        let quantiles = [(Metric::P50, 0.5_f64), (Metric::P90, 0.9), (Metric::P95, 0.95), (Metric::P99, 0.99)];
        for (metric, quantile) in quantiles {
            assert_eq!(metric.fewest_images() as f64, (10.0 / (1.0 - quantile)).round(), "{metric:?}");
        }
    }
}
