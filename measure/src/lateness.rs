//! How much of a percentile is the producers' own lateness.
//!
//! A latency begins when an image was due. The service latency of the same image begins when it was sent, so its
//! percentile is what would have been measured of the same answers had the producers been in time. The difference is what
//! the producers have added: never less than nothing, since lateness only lengthens a latency.

use std::fmt;

use crate::{display, summary::Summary};

/// A percentile of which the producers are more than this says too much of them. Of 1,000 images the 95 % confidence
/// interval of a p95 is about as wide.
pub const MOST_PERCENT: u64 = 20;
/// More than this is worth a word.
const WORTH_A_WORD_PERCENT: u64 = 5;

/// The percentile in which the producers have the largest share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    /// Such as `p95`.
    pub percentile: &'static str,
    /// From the instant an image was due, in microseconds.
    pub latency_micros: u64,
    /// From the instant it was sent.
    pub service_latency_micros: u64,
}

impl Lateness {
    /// Of the percentiles that are columns. None if one of them falls on an image without an answer, or nobody was late.
    pub fn of(latency: &Summary, service_latency: &Summary) -> Option<Self> {
        let percentiles = [
            ("p50", latency.p50, service_latency.p50),
            ("p90", latency.p90, service_latency.p90),
            ("p95", latency.p95, service_latency.p95),
        ];
        let each = percentiles.into_iter().filter_map(|(percentile, latency, service)| {
            let (latency_micros, service_latency_micros) = (latency?, service?);
            Some(Self { percentile, latency_micros, service_latency_micros })
        });
        each.filter(|lateness| lateness.percent() > 0.0).max_by(|a, b| a.percent().total_cmp(&b.percent()))
    }

    /// The producers' share of the latency.
    pub fn percent(&self) -> f64 {
        let added = self.latency_micros.saturating_sub(self.service_latency_micros);
        added as f64 * 100.0 / self.latency_micros.max(1) as f64
    }

    /// Whether the producers decide the percentile.
    pub fn is_too_much(&self) -> bool {
        self.percent() > MOST_PERCENT as f64
    }

    /// Whether it should be known of a result that is valid.
    pub fn is_worth_a_word(&self) -> bool {
        self.percent() > WORTH_A_WORD_PERCENT as f64
    }
}

/// Such as `35 % of the p95 latency of 11ms, which is 7.2ms from the actual send`.
impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [latency, service] = [self.latency_micros, self.service_latency_micros].map(display::micros);
        let (percent, percentile) = (self.percent(), self.percentile);
        write!(f, "{percent:.0} % of the {percentile} latency of {latency}, which is {service} from the actual send")
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    use super::*;
    use crate::{histogram::LatencyHistogram, summary::summarize};

    fn summary(p50: u64, p90: u64, p95: u64) -> Summary {
        Summary { p50: Some(p50), p90: Some(p90), p95: Some(p95), ..Summary::default() }
    }

    #[test]
    fn the_percentile_with_the_largest_share_is_named() {
        let lateness = Lateness::of(&summary(1_000, 2_000, 10_000), &summary(980, 1_500, 9_000)).unwrap();
        assert_eq!((lateness.percentile, lateness.percent()), ("p90", 25.0));
        assert!(lateness.is_too_much());
        assert_eq!(lateness.to_string(), "25 % of the p90 latency of 2.0ms, which is 1.5ms from the actual send");
        assert_eq!(Lateness::of(&summary(1, 2, 3), &summary(1, 2, 3)), None);
        let unbounded = Summary { p95: None, ..summary(1_000, 2_000, 0) };
        assert_eq!(Lateness::of(&unbounded, &summary(1_000, 2_000, 3_000)), None);
    }

    /// What one run measures, and would have measured with producers in time.
    struct Run {
        latency: Summary,
        service_latency: Summary,
        in_time: Summary,
    }

    /// Images due each 10 ms, of which a producer that stands still now and then sends some late, and a server that takes
    /// one after the other, for `service` milliseconds on average (exponential).
    fn simulated(random: &mut ChaCha8Rng, service: f64, stalls_percent: f64, stall: f64) -> Run {
        const IMAGES: u32 = 5_000;
        let exponential = |random: &mut ChaCha8Rng, mean: f64| -mean * (1.0 - random.random::<f64>()).ln();
        let [mut latency, mut service_latency, mut in_time] = [(); 3].map(|()| LatencyHistogram::new());
        let (mut awake, mut free, mut free_in_time) = (0.0_f64, 0.0_f64, 0.0_f64);
        for image in 0..IMAGES {
            let due = f64::from(image) * 10.0;
            if random.random::<f64>() * 100.0 < stalls_percent {
                awake = awake.max(due) + exponential(random, stall);
            }
            let (sent, work) = (due.max(awake), exponential(random, service));
            free = sent.max(free) + work;
            free_in_time = due.max(free_in_time) + work;
            for (histogram, millis) in
                [(&mut latency, free - due), (&mut service_latency, free - sent), (&mut in_time, free_in_time - due)]
            {
                histogram.record((millis * 1_000.0) as u64).unwrap();
            }
        }
        let [latency, service_latency, in_time] =
            [latency, service_latency, in_time].map(|histogram| summarize(&histogram, IMAGES.into()));
        Run { latency, service_latency, in_time }
    }

    /// The table of docs/measurement.md: run with --nocapture.
    #[test]
    fn a_percentile_that_passes_is_near_the_one_of_producers_in_time() {
        println!("service ms, stalls %, stall ms: p95 ms, in time, added by lateness, share that is seen");
        let mut passed = 0;
        for service in [1.0, 3.0, 6.0] {
            for stalls in [0.5, 2.0, 5.0] {
                for stall in [1.0, 5.0, 20.0] {
                    let seed = (service * 1_000.0 + stalls * 100.0 + stall) as u64;
                    let run = simulated(&mut ChaCha8Rng::seed_from_u64(seed), service, stalls, stall);
                    let (measured, in_time) = (run.latency.p95.unwrap() as f64, run.in_time.p95.unwrap() as f64);
                    assert!(measured >= in_time, "lateness only lengthens a latency: seed {seed}");
                    let lateness = Lateness::of(&run.latency, &run.service_latency);
                    let share = lateness.map_or(0.0, |lateness| lateness.percent());
                    let added = 100.0 * (measured - in_time) / measured;
                    println!(
                        "{service}, {stalls}, {stall}: {:.1}, {:.1}, {added:.0} %, {share:.0} %",
                        measured / 1_000.0,
                        in_time / 1_000.0
                    );
                    if !lateness.is_some_and(|lateness| lateness.is_too_much()) {
                        passed += 1;
                        assert!(added < 25.0, "it passed with {added:.0} % added: seed {seed}");
                    }
                }
            }
        }
        assert!((8..27).contains(&passed), "{passed} of 27 passed");
    }
}
