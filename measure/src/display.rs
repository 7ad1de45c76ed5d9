//! How people read the numbers.

use std::time::Duration;

/// A latency in microseconds with two significant digits, or whole units from 10 on: `0.85ms`, `2.1ms`, `31ms`,
/// `310ms`, `1.2s`, `75s`.
pub fn micros(micros: u64) -> String {
    let millis = micros as f64 / 1_000.0;
    if millis < 999.5 { significant(millis, "ms") } else { significant(millis / 1_000.0, "s") }
}

/// The same of a duration.
pub fn duration(duration: Duration) -> String {
    micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// A latency that falls on images that were not answered within the drain time: `>30s`.
pub fn unbounded(drain: Duration) -> String {
    if drain.subsec_millis() == 0 { format!(">{}s", drain.as_secs()) } else { format!(">{}ms", drain.as_millis()) }
}

/// So many images in so long, in images a second with one decimal: `99.8`.
pub fn rate(images: u64, duration: Duration) -> String {
    if duration.is_zero() {
        return "0.0".into();
    }
    format!("{:.1}", images as f64 / duration.as_secs_f64())
}

/// A share in percent with one decimal, `91.7`, or none of nothing.
pub fn percent(part: u64, whole: u64) -> Option<String> {
    (whole > 0).then(|| format!("{:.1}", part as f64 * 100.0 / whole as f64))
}

fn significant(value: f64, unit: &str) -> String {
    let decimals = match value {
        value if value < 0.0995 => 3,
        value if value < 0.995 => 2,
        value if value < 9.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_two_significant_digits() {
        for (value, text) in [
            (1, "0.001ms"),
            (57, "0.057ms"),
            (850, "0.85ms"),
            (994, "0.99ms"),
            (996, "1.0ms"),
            (2_149, "2.1ms"),
            (9_960, "10ms"),
            (31_490, "31ms"),
            (310_400, "310ms"),
            (999_400, "999ms"),
            (999_600, "1.0s"),
            (1_234_000, "1.2s"),
            (75_000_000, "75s"),
        ] {
            assert_eq!(micros(value), text);
        }
    }

    #[test]
    fn what_was_not_answered_took_longer_than_the_drain_time() {
        assert_eq!(unbounded(Duration::from_secs(30)), ">30s");
        assert_eq!(unbounded(Duration::from_secs(600)), ">600s");
        assert_eq!(unbounded(Duration::from_millis(1_500)), ">1500ms");
    }

    #[test]
    fn rates_and_shares_have_one_decimal() {
        assert_eq!(rate(998, Duration::from_secs(10)), "99.8");
        assert_eq!(rate(998, Duration::ZERO), "0.0");
        assert_eq!(percent(917, 1_000).as_deref(), Some("91.7"));
        assert_eq!(percent(0, 0), None);
    }
}
