use tailrace_measure::slo::{Limit, Metric};

/// A service level objective, and how it was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// What the limit is on.
    pub metric: Metric,
    /// The limit, in microseconds or percent.
    pub limit: Limit,
    /// The limit as it was written, such as `50ms` or `99.5`.
    pub written: String,
    /// What was observed, such as `31.5ms`, `99.8` or `>30s`; none if there was nothing to look at.
    pub observed: Option<String>,
    /// Whether it was kept.
    pub met: bool,
}

impl Objective {
    /// Such as `P95 at most 50ms` or `AchievedRatePercent at least 99 %`.
    pub fn title(&self) -> String {
        format!("{:?} {} {}{}", self.metric, self.bound(), self.written, self.unit())
    }

    /// Such as `P95 is 50.431ms and was to be at most 50ms`.
    pub fn sentence(&self) -> String {
        let (observed, bound) = (self.observed(), self.bound());
        format!("{:?} is {observed} and was to be {bound} {}{}", self.metric, self.written, self.unit())
    }

    /// What was observed, with its unit.
    pub fn observed(&self) -> String {
        self.observed.as_ref().map_or_else(|| "not known".to_owned(), |observed| format!("{observed}{}", self.unit()))
    }

    /// `met` or `missed`.
    pub fn verdict(&self) -> &'static str {
        if self.met { "met" } else { "missed" }
    }

    /// The largest latency that is good, in microseconds; none of another limit.
    pub fn most_micros(&self) -> Option<f64> {
        match self.limit {
            Limit::AtMost(micros) if !self.metric.is_percent() => Some(micros),
            _ => None,
        }
    }

    fn bound(&self) -> &'static str {
        match self.limit {
            Limit::AtMost(_) => "at most",
            Limit::AtLeast(_) => "at least",
        }
    }

    fn unit(&self) -> &'static str {
        if self.metric.is_percent() { " %" } else { "" }
    }
}

/// The difference to an earlier measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The name of the LoadTest that it was compared with.
    pub baseline: String,
    /// By how many percent a percentile may be slower.
    pub max_regression_percent: f64,
    /// The worst of the percentiles.
    pub verdict: ComparisonVerdict,
    /// The verdict in one sentence.
    pub message: String,
    /// One each of p50, p95 and p99.
    pub changes: Vec<Change>,
    /// What differs between the two environments, a sentence each.
    pub environment_differences: Vec<String>,
}

/// What can be said of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComparisonVerdict {
    /// It is within what is allowed.
    NotRegressed,
    /// It is above what is allowed.
    Regressed,
    /// The measurements are too short or too scattered to say.
    Inconclusive,
}

/// One percentile of both measurements; one that falls on images without an answer is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The percentile.
    pub metric: Metric,
    /// In the baseline, in microseconds.
    pub baseline: Option<u64>,
    /// In this measurement, in microseconds.
    pub observed: Option<u64>,
    /// By how many microseconds this measurement is slower.
    pub difference: Option<i64>,
    /// The lower end of the 95 % confidence interval of the difference; none if unbounded.
    pub low: Option<i64>,
    /// The upper end; none if unbounded.
    pub high: Option<i64>,
}
