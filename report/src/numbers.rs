//! Numbers as people read them.

use std::time::Duration;

use tailrace_measure::display;

/// Microseconds as milliseconds with all their digits: `2.149`.
pub fn millis(micros: u64) -> String {
    format!("{}.{:03}", grouped(micros / 1_000), micros % 1_000)
}

/// The same of a difference: `+2.149` or `-0.030`.
pub fn signed_millis(micros: i64) -> String {
    let sign = if micros < 0 { '-' } else { '+' };
    format!("{sign}{}", millis(micros.unsigned_abs()))
}

/// The same, or that it falls on images without an answer, such as `>30s`.
pub fn millis_or_unbounded(micros: Option<u64>, drain: Duration) -> String {
    micros.map_or_else(|| display::unbounded(drain), millis)
}

/// Digits in groups of three: `12,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time in its own unit: `60 s`, `1.5 s`, `250 ms`.
pub fn duration(duration: Duration) -> String {
    if duration.is_zero() || duration >= Duration::from_secs(1) {
        format!("{} s", duration.as_secs_f64())
    } else {
        format!("{} ms", duration.as_secs_f64() * 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_digits_are_shown() {
        assert_eq!([millis(2_149), millis(30), millis(1_234_567)], ["2.149", "0.030", "1,234.567"]);
        assert_eq!([signed_millis(-30), signed_millis(0)], ["-0.030", "+0.000"]);
        assert_eq!(millis_or_unbounded(None, Duration::from_secs(30)), ">30s");
        assert_eq!(
            [grouped(0), grouped(999), grouped(1_000), grouped(12_345_678)],
            ["0", "999", "1,000", "12,345,678"]
        );
        let lengths = [60_000, 1_500, 250, 0].map(|millis| duration(Duration::from_millis(millis)));
        assert_eq!(lengths, ["60 s", "1.5 s", "250 ms", "0 s"]);
    }
}
