//! One truth for the schema and the parser: what the API server admits can be read, and what is made of it is admitted
//! too.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod admission;
mod examples;
mod fields;
mod made;
mod property;
mod values;
