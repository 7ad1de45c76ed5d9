use std::{collections::BTreeMap, ops::AddAssign};

use crate::histogram::{AboveRange, LatencyHistogram};

/// The buckets of a [`LatencyHistogram`] that are not empty: a hundredth of its memory where there are few values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets(BTreeMap<u64, u64>);

impl Buckets {
    /// Records one latency in microseconds; 0 counts as 1.
    ///
    /// # Errors
    /// [`AboveRange`] above one hour, as the histogram.
    pub fn record(&mut self, micros: u64) -> Result<(), AboveRange> {
        *self.0.entry(LatencyHistogram::bucket(micros)?).or_default() += 1;
        Ok(())
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The largest value of each bucket in microseconds, ascending, and how many values are in it.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(micros, count)| (*micros, *count))
    }
}

impl AddAssign<&Self> for Buckets {
    fn add_assign(&mut self, other: &Self) {
        for (micros, count) in other.iter() {
            *self.0.entry(micros).or_default() += count;
        }
    }
}

impl From<&LatencyHistogram> for Buckets {
    fn from(histogram: &LatencyHistogram) -> Self {
        Self(histogram.buckets().collect())
    }
}

impl From<&Buckets> for LatencyHistogram {
    fn from(buckets: &Buckets) -> Self {
        let mut histogram = Self::new();
        buckets.iter().for_each(|(micros, count)| histogram.record_many(micros, count));
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_the_histogram() {
        let values = [0, 1, 2_047, 2_048, 2_049, 5_000, 1_000_000, 3_600_000_000];
        let (mut buckets, mut histogram) = (Buckets::default(), LatencyHistogram::new());
        for value in values {
            buckets.record(value).unwrap();
            histogram.record(value).unwrap();
        }
        assert_eq!(LatencyHistogram::from(&buckets), histogram);
        assert_eq!(Buckets::from(&histogram), buckets);
        assert_eq!(buckets.count(), 8);
        assert!(buckets.record(3_600_000_001).is_err());
    }

    #[test]
    fn a_sum_loses_nothing() {
        let of = |values: &[u64]| {
            let mut buckets = Buckets::default();
            values.iter().for_each(|value| buckets.record(*value).unwrap());
            buckets
        };
        let mut sum = of(&[1, 5, 900_000]);
        sum += &of(&[5, 70]);
        assert_eq!(sum, of(&[1, 5, 5, 70, 900_000]));
    }
}
