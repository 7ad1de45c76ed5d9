//! Fields that are null, as pydantic and KServe's SDK write what was not set: the same as if they were not there.

use serde::{Deserialize, Deserializer};

/// For `#[serde(default, deserialize_with = "absent::if_null")]`.
pub fn if_null<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
