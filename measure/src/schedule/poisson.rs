use std::{iter, time::Duration};

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::NoSchedule;

/// Poisson arrivals: gaps are exponentially distributed and independent of each other, so a burst is as likely after a
/// burst as after a pause. Streams of different producers are independent, and together Poisson arrivals of the sum of
/// their rates.
///
/// ```
/// use std::time::Duration;
/// use tailrace_measure::schedule::Poisson;
///
/// let second = Duration::from_secs(1);
/// let images = Poisson::new(1000, 1, 0, 42)?.offsets_before(second);
/// assert_eq!(images.count(), Poisson::new(1000, 1, 0, 42)?.offsets_before(second).count());
/// # Ok::<(), tailrace_measure::schedule::NoSchedule>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poisson {
    rate_per_second: u32,
    index: u32,
    seed: u64,
}

impl Poisson {
    /// The schedule of producer `index`, from 0, of so many, each with this mean rate in images a second. The same seed
    /// gives the same times.
    ///
    /// # Errors
    /// A rate of 0, or an index that is not below the number of producers.
    pub fn new(rate_per_second: u32, producers: u32, index: u32, seed: u64) -> Result<Self, NoSchedule> {
        NoSchedule::check(rate_per_second, producers, index)?;
        Ok(Self { rate_per_second, index, seed })
    }

    /// All intended send times before `end`, in order.
    pub fn offsets_before(self, end: Duration) -> impl Iterator<Item = Duration> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(self.index.into());
        let rate = f64::from(self.rate_per_second);
        let mut seconds = 0.0;
        // Inverse transform sampling (Devroye, "Non-Uniform Random Variate Generation", 1986, II.2). 1 - u is in (0, 1],
        // so that its logarithm is finite.
        let next = move || {
            seconds -= (1.0 - random.random::<f64>()).ln() / rate;
            Duration::from_secs_f64(seconds)
        };
        iter::repeat_with(next).take_while(move |offset| *offset < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 200;
    const MINUTE: Duration = Duration::from_secs(60);

    fn offsets(producers: u32, index: u32, seed: u64) -> Vec<Duration> {
        Poisson::new(RATE, producers, index, seed).unwrap().offsets_before(MINUTE).collect()
    }

    fn gaps(offsets: &[Duration]) -> Vec<f64> {
        offsets.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    /// 12,000 are expected; the standard deviation of a Poisson variable is the root of its mean, 110.
    #[test]
    fn the_rate_is_the_one_that_was_asked_for() {
        for seed in 0..20 {
            let count = offsets(1, 0, seed).len();
            assert!((11_450..12_550).contains(&count), "seed {seed}: {count} images");
        }
    }

    /// Kolmogorov's test against 1 - exp(-rate·gap): at 12,000 gaps the distance is above 0.0178 in one of 1,000 cases.
    #[test]
    fn gaps_are_exponentially_distributed() {
        let mut gaps = gaps(&offsets(1, 0, 42));
        gaps.sort_by(f64::total_cmp);
        let count = gaps.len() as f64;
        let distance = gaps.iter().enumerate().map(|(rank, gap)| {
            let expected = 1.0 - (-f64::from(RATE) * gap).exp();
            (expected - rank as f64 / count).abs().max((expected - (rank + 1) as f64 / count).abs())
        });
        let distance = distance.fold(0.0, f64::max);
        assert!(distance < 0.0178, "{distance}");
    }

    /// The standard deviation of the correlation of 12,000 independent pairs is 0.009.
    #[test]
    fn a_gap_says_nothing_about_the_next_one() {
        let gaps = gaps(&offsets(1, 0, 42));
        let mean = mean(&gaps);
        let variance: f64 = gaps.iter().map(|gap| (gap - mean).powi(2)).sum();
        let covariance: f64 = gaps.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
        assert!((covariance / variance).abs() < 0.04, "{}", covariance / variance);
    }

    #[test]
    fn the_seed_decides_and_producers_differ() {
        assert_eq!(offsets(2, 0, 42), offsets(2, 0, 42));
        assert_ne!(offsets(2, 0, 42), offsets(2, 0, 43));
        assert_ne!(offsets(2, 0, 42), offsets(2, 1, 42));
        assert!(offsets(2, 0, 42).is_sorted());
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        assert_eq!(Poisson::new(0, 1, 0, 42), Err(NoSchedule::Rate));
        assert_eq!(Poisson::new(1, 2, 2, 42), Err(NoSchedule::Index { index: 2, producers: 2 }));
    }
}
