//! Durations as users and their programs write them: `30s`, `5m`, `1h30m`, `250ms`, `33.333333333333336ms`.

use std::{borrow::Cow, str::FromStr, time};

use kube::core::Rule;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
pub use tailrace_measure::duration::NotADuration;
use tailrace_measure::duration::{self, ADVICE, LONGEST_TEXT, PATTERN};

/// A non-negative duration in Go's notation, rounded to whole nanoseconds; serialised as the text that the user wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duration {
    text: String,
    value: time::Duration,
}

impl Duration {
    /// A duration of whole seconds.
    pub fn from_secs(seconds: u64) -> Self {
        Self { text: format!("{seconds}s"), value: time::Duration::from_secs(seconds) }
    }

    /// The length as the standard library has it.
    pub fn get(&self) -> time::Duration {
        self.value
    }
}

/// That a text is a duration.
fn is_duration(text: &str) -> String {
    format!("{text}.matches('{PATTERN}')")
}

/// That a field which is a [`Duration`] is at most so long; `message` says what is too long and what to write.
pub fn at_most(longest: &str, message: &str) -> Rule {
    Rule::new(format!("!{} || duration(self) <= duration('{longest}')", is_duration("self"))).message(message)
}

/// That a field which is a [`Duration`] has a length between the two; `message` says what is wrong and what to write.
pub fn between(shortest: &str, longest: &str, message: &str) -> Rule {
    Rule::new(format!(
        "!{} || (duration(self) >= duration('{shortest}') && duration(self) <= duration('{longest}'))",
        is_duration("self")
    ))
    .message(message)
}

/// That the value of a CEL expression is a duration if `unless` does not hold.
pub fn is_duration_unless(unless: &str, text: &str, message: &str) -> Rule {
    Rule::new(format!("{unless} || {}", is_duration(text))).message(message)
}

impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { text: text.to_owned(), value: duration::parse(text)? })
    }
}

impl std::fmt::Display for Duration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": LONGEST_TEXT,
            "x-kubernetes-validations": [{ "rule": is_duration("self"), "message": ADVICE }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_users_and_programs_write_them() {
        for (text, nanos) in [
            ("250ms", 250_000_000),
            ("30s", 30_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0s", 0),
            ("33.333333333333336ms", 33_333_333),
            ("0.0333333333333333333s", 33_333_333),
            ("66.66666666666667ms", 66_666_667),
            ("1.9999999999s", 2_000_000_000),
            ("100us", 100_000),
            ("100µs", 100_000),
            ("100μs", 100_000),
            ("1m0.000000001s", 60_000_000_001),
            ("7ns", 7),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.get(), time::Duration::from_nanos(nanos), "{text}");
            assert_eq!(duration.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_what_to_write_instead() {
        for text in [
            "5x",
            "",
            "-1s",
            "ten seconds",
            "5",
            "9999999999999999999h",
            "1.s",
            ".5s",
            "1e3s",
            "1 s",
            "1S",
            "+1s",
            "1..5s",
        ] {
            let message = text.parse::<Duration>().unwrap_err().to_string();
            assert!(message.contains("such as 250ms"), "{message}");
        }
    }

    #[test]
    fn the_longest_duration_that_can_be_written_overflows_nothing() {
        for unit in ["999999999s", "99999h", "99999m", "999999999ms"] {
            let text = unit.repeat(LONGEST_TEXT / unit.len());
            let nanoseconds = text.parse::<Duration>().unwrap().get().as_nanos();
            assert!(i64::try_from(nanoseconds).is_ok(), "{text}");
        }
    }
}
