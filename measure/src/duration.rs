//! Durations as users and their programs write them: `30s`, `5m`, `1h30m`, `250ms`, `33.333333333333336ms`.

use std::time::Duration;

/// What a duration looks like, for the API server and for [`parse`] alike. The digits are bounded so that no text of
/// [`LONGEST_TEXT`] characters overflows a [`Duration`], or the 64-bit nanoseconds of the API server.
pub const PATTERN: &str = "^([0-9]{1,9}([.][0-9]{1,24})?(ns|us|µs|μs|ms|s)|[0-9]{1,5}([.][0-9]{1,24})?(m|h))+$";
/// The most characters.
pub const LONGEST_TEXT: usize = 32;
/// What to write instead of something else.
pub const ADVICE: &str = "not a duration: write a number with a unit, such as 250ms, 30s, 5m or 1h30m";
/// The units of Go, in nanoseconds. The two characters of micro look alike: U+00B5 and U+03BC.
const UNITS: [(&str, u128, usize); 8] = [
    ("ns", 1, 9),
    ("us", 1_000, 9),
    ("µs", 1_000, 9),
    ("μs", 1_000, 9),
    ("ms", 1_000_000, 9),
    ("s", 1_000_000_000, 9),
    ("m", 60_000_000_000, 5),
    ("h", 3_600_000_000_000, 5),
];

/// Why a text is not a duration.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is {ADVICE}")]
pub struct NotADuration(String);

/// A non-negative duration in Go's notation, rounded to whole nanoseconds.
///
/// # Errors
/// [`NotADuration`] says what to write instead.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    let refused = || NotADuration(text.to_owned());
    if text.is_empty() || text.chars().count() > LONGEST_TEXT {
        return Err(refused());
    }
    let (mut rest, mut nanoseconds) = (text, 0);
    while !rest.is_empty() {
        let (part, behind) = first_part(rest).ok_or_else(refused)?;
        nanoseconds += part;
        rest = behind;
    }
    u64::try_from(nanoseconds).map(Duration::from_nanos).map_err(|_| refused())
}

/// The nanoseconds of the first number with its unit, and the text behind it.
fn first_part(text: &str) -> Option<(u128, &str)> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, behind) = text.split_at(unit_at);
    let unit_end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
    let (unit, behind) = behind.split_at(unit_end);
    let (_, nanoseconds, digits) = UNITS.iter().find(|(name, ..)| *name == unit)?;
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if (1..=24).contains(&fraction.len()) => (whole, fraction),
        Some(_) => return None,
        None => (number, "0"),
    };
    if !(1..=*digits).contains(&whole.len()) {
        return None;
    }
    let (whole, scale) = (whole.parse::<u128>().ok()?, 10_u128.pow(u32::try_from(fraction.len()).ok()?));
    let of_fraction = (fraction.parse::<u128>().ok()? * nanoseconds + scale / 2) / scale;
    Some((whole * nanoseconds + of_fraction, behind))
}
