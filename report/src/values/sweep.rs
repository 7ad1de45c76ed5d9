use tailrace_measure::{
    judgement::Verdict,
    repetitions::{self, Spread},
    summary::Percentiles,
};

/// LoadTests in a row that differ in one number.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The name of the Experiment.
    pub name: String,
    /// Where it lives, where there are namespaces.
    pub namespace: Option<String>,
    /// What came of it in one sentence.
    pub message: String,
    /// What differs from point to point.
    pub varied: Varied,
    /// The values in ascending order.
    pub points: Vec<Point>,
}

/// What differs between LoadTests in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Varied {
    /// How many producers send.
    Producers,
    /// At which rate all producers together send.
    Rate,
}

impl Varied {
    /// With its unit.
    pub fn title(self) -> &'static str {
        match self {
            Self::Producers => "producers",
            Self::Rate => "images/s",
        }
    }
}

/// LoadTests that are alike.
#[derive(Clone, Debug)]
pub struct Point {
    /// The number that differs from point to point.
    pub value: f64,
    /// The LoadTests.
    pub repetitions: Vec<Repetition>,
}

/// One LoadTest, in short.
#[derive(Clone, Debug)]
pub struct Repetition {
    /// The name of the LoadTest.
    pub name: String,
    /// What came of it; none if it is not over.
    pub verdict: Option<Verdict>,
    /// Of the latency, in microseconds.
    pub latency: Option<Percentiles>,
    /// Images that were not answered.
    pub lost: Option<u64>,
    /// Images answered a second.
    pub achieved_rate: Option<f64>,
}

impl Repetition {
    /// Whether its numbers mean what they say.
    pub fn is_valid(&self) -> bool {
        self.verdict.is_some_and(Verdict::is_valid)
    }
}

impl Point {
    /// One percentile over the valid repetitions; none if there are none. What is unbounded is larger than all else.
    pub fn spread(&self, percentile: fn(&Percentiles) -> Option<u64>) -> Option<Spread> {
        let valid = self.repetitions.iter().filter(|repetition| repetition.is_valid());
        let values: Vec<_> = valid.filter_map(|repetition| Some(percentile(repetition.latency.as_ref()?))).collect();
        repetitions::spread(&values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(p95: &[(Option<u64>, Verdict)]) -> Point {
        let repetition = |(p95, verdict): &(Option<u64>, Verdict)| Repetition {
            name: "one".into(),
            verdict: Some(*verdict),
            latency: Some(Percentiles { p95: *p95, ..Percentiles::default() }),
            lost: Some(0),
            achieved_rate: None,
        };
        Point { value: 1.0, repetitions: p95.iter().map(repetition).collect() }
    }

    fn spread(p95: &[(Option<u64>, Verdict)]) -> Option<Spread> {
        point(p95).spread(|latency| latency.p95)
    }

    #[test]
    fn a_spread_is_the_median_and_the_extremes_of_the_valid_repetitions() {
        let repetitions = [
            (Some(30), Verdict::Succeeded),
            (Some(10), Verdict::Missed),
            (Some(20), Verdict::Succeeded),
            (Some(1), Verdict::Invalid),
        ];
        let found = spread(&repetitions).unwrap();
        assert_eq!((found.median, found.min, found.max), (Some(20), Some(10), Some(30)));
    }

    #[test]
    fn an_unbounded_percentile_is_larger_than_all_others() {
        let repetitions = [(None, Verdict::Missed), (Some(10), Verdict::Succeeded), (None, Verdict::Missed)];
        let found = spread(&repetitions).unwrap();
        assert_eq!((found.median, found.min, found.max), (None, Some(10), None));
    }

    #[test]
    fn without_a_valid_repetition_there_is_no_spread() {
        assert_eq!(spread(&[(Some(1), Verdict::Aborted)]), None);
        assert_eq!(spread(&[]), None);
    }
}
