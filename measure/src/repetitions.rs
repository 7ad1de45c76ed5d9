//! Several runs of the same: in which order they are made, and what they say together.
//!
//! A percentile of several runs is never averaged. Each run has its own, and what is shown is the run in the middle and how
//! far the others are from it.

use rand::{SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::signed;

/// One percentile of several LoadTests, in microseconds. A percentile that falls on images without an answer is infinite;
/// infinite numbers are absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// The median; of an even number of values the larger of the two in the middle.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub median: Option<u64>,
    /// The smallest.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// The largest.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// The sample standard deviation of three or more LoadTests; absent if one of them is infinite.
    #[serde(with = "signed::Optional", default, skip_serializing_if = "Option::is_none")]
    pub standard_deviation: Option<u64>,
}

/// What `values` of several runs say together, or none of no run. A value that is none is infinite: above all others.
pub fn spread(values: &[Option<u64>]) -> Option<Spread> {
    let mut sorted = values.to_vec();
    sorted.sort_by_key(|value| value.unwrap_or(u64::MAX));
    let (first, last) = (sorted.first()?, sorted.last()?);
    Some(Spread {
        median: sorted[sorted.len() / 2],
        min: *first,
        max: *last,
        standard_deviation: standard_deviation(values),
    })
}

fn standard_deviation(values: &[Option<u64>]) -> Option<u64> {
    const FEWEST: usize = 3;
    let values: Vec<f64> = values.iter().map(|value| value.map(|value| value as f64)).collect::<Option<_>>()?;
    if values.len() < FEWEST {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt().round() as u64)
}

/// The places 0..`points` in a random order, another one for each repetition. The same seed gives the same orders.
///
/// Each repetition has each point once (a randomised complete block design), so that what drifts while the runs go on
/// reaches all points alike and is not taken for an effect.
pub fn shuffled(points: usize, repetition: u64, seed: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(repetition);
    let mut places: Vec<usize> = (0..points).collect();
    places.shuffle(&mut random);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_run_that_was_made() {
        let of = |values: &[u64]| spread(&values.iter().copied().map(Some).collect::<Vec<_>>()).unwrap();
        assert_eq!(of(&[7]), Spread { median: Some(7), min: Some(7), max: Some(7), standard_deviation: None });
        assert_eq!(of(&[9, 5]).median, Some(9), "the worse of two");
        let three = of(&[30, 10, 20]);
        assert_eq!((three.median, three.min, three.max), (Some(20), Some(10), Some(30)));
        assert_eq!(three.standard_deviation, Some(10));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn a_run_without_a_finite_value_is_the_worst() {
        let one = spread(&[None, Some(10), Some(20)]).unwrap();
        assert_eq!((one.median, one.min, one.max, one.standard_deviation), (Some(20), Some(10), None, None));
        let two = spread(&[None, Some(10), None]).unwrap();
        assert_eq!((two.median, two.min), (None, Some(10)));
    }

    #[test]
    fn each_repetition_has_each_point_once_in_an_order_that_follows_from_the_seed() {
        let orders: Vec<_> = (0..4).map(|repetition| shuffled(6, repetition, 42)).collect();
        for order in &orders {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
        }
        assert!(orders.iter().any(|order| *order != orders[0]), "each repetition has an order of its own");
        assert_eq!(orders[1], shuffled(6, 1, 42));
        assert!((0..4).any(|repetition| shuffled(6, repetition, 43) != orders[repetition as usize]));
        assert_eq!(shuffled(0, 0, 1), Vec::<usize>::new());
    }
}
