//! Counts as the API has them: its integers are signed, and what is counted is not.
//!
//! A count that the other side cannot hold is its limit, so that no object is unreadable for a number.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The number as the API has it.
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The number as it is counted.
pub fn unsigned(value: i64) -> u64 {
    value.max(0).unsigned_abs()
}

/// The form of a field: `#[serde(with = "signed::Count")]`.
pub(crate) struct Count;

/// The form of a field that may be absent: `#[serde(with = "signed::Optional", default)]`.
pub(crate) struct Optional;

impl Count {
    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        signed(*value).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        i64::deserialize(deserializer).map(unsigned)
    }
}

impl Optional {
    pub fn serialize<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(signed).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(unsigned))
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        i64::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        i64::json_schema(generator)
    }
}

impl JsonSchema for Optional {
    fn schema_name() -> Cow<'static, str> {
        Option::<i64>::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<i64>::json_schema(generator)
    }
}
