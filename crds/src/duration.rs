//! Durations as users write them: `30s`, `5m`, `1h30m`, `250ms`.

use std::{borrow::Cow, str::FromStr, time};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A non-negative duration in Go's notation with the units `ms`, `s`, `m` and `h`; serialised as the string that the user wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duration {
    text: String,
    value: time::Duration,
}

/// Why a text is not a [`Duration`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not a duration: write a number with a unit, such as 250ms, 30s, 5m or 1h30m")]
pub struct NotADuration(String);

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

impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotADuration(text.to_owned());
        // Nothing at all is zero for the parser, and numbers beyond all use overflow it.
        let numbers = text.split(|c: char| !c.is_ascii_digit());
        if !text.ends_with(['s', 'm', 'h']) || numbers.into_iter().any(|digits| digits.len() > 9) {
            return Err(refused());
        }
        let parsed = kube::core::Duration::from_str(text).map_err(|_| refused())?;
        if parsed.is_negative() {
            return Err(refused());
        }
        Ok(Self { text: text.to_owned(), value: parsed.into() })
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
            "maxLength": 20,
            "x-kubernetes-validations": [{
                "rule": "self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",
                "message": "not a duration: write a number with a unit, such as 250ms, 30s, 5m or 1h30m",
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_users_write_them() {
        for (text, millis) in [("250ms", 250), ("30s", 30_000), ("1h30m", 5_400_000), ("1.5s", 1_500)] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.get(), time::Duration::from_millis(millis));
            assert_eq!(duration.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_what_to_write_instead() {
        for text in ["5x", "", "-1s", "ten seconds", "5", "9999999999999999999h"] {
            let message = text.parse::<Duration>().unwrap_err().to_string();
            assert!(message.contains("such as 250ms"), "{message}");
        }
    }
}
