//! What a measurement looks like: a text, pictures, JSON, JUnit and CSV, from plain values.
//!
//! * [`values`]: one LoadTest ([`values::Run`]), and several of them in a row ([`values::Sweep`]).
//! * [`files`]: all that is written of them, by name.
//! * [`text`], [`json`], [`junit`], [`table`]: the texts.
//! * [`figures`]: the pictures, drawn once as SVG; PNG is rendered from it.
//! * [`raw_log`]: one line a message, as a producer leaves it at the end of its log.
//!
//! Nothing here knows Kubernetes, reads a clock or a file: the same values give the same bytes.

#![forbid(unsafe_code)]

pub mod figures;
pub mod files;
pub mod json;
pub mod junit;
mod numbers;
pub mod raw_log;
pub mod table;
pub mod text;
pub mod values;
