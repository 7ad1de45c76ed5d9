//! A line for each message, from which anybody can recompute every number: what a producer writes, and others read.
//!
//! The lines are CSV, compressed with Zstandard and written in base64 between two lines of the log that can be found again.

use std::fmt::Write;

use crate::accounting::{Outcome, Record};

/// The line before the base64.
pub const FOLLOWS: &str = "tailrace-raw-log: base64 of CSV.zst follows";
/// The line after it.
pub const END: &str = "tailrace-raw-log: end";
/// The columns. Times are microseconds since the common start; one is empty where there was no such moment.
pub const HEADER: &str =
    "producer,sequence,window,intended_us,sent_us,acknowledged_us,answered_us,queue_us,compute_us,outcome";

/// The line of one message, with its end.
pub fn line(producer: u32, record: &Record) -> String {
    let window = if record.measured { "measurement" } else { "warmup" };
    let mut line = format!("{producer},{},{window},{}", record.sequence, record.intended.as_micros());
    let answer = record.answered.map(|(_, answer)| answer);
    let moments = [
        record.sent,
        record.acknowledged,
        record.answered.map(|(at, _)| at),
        answer.map(|answer| answer.queue),
        answer.map(|answer| answer.compute),
    ];
    for moment in moments {
        line.push(',');
        if let Some(moment) = moment {
            // A String takes all that is written to it.
            let _ = write!(line, "{}", moment.as_micros());
        }
    }
    let outcome = match answer.map(|answer| answer.outcome) {
        Some(Outcome::Correct) => "correct",
        Some(Outcome::Wrong) => "wrong",
        Some(Outcome::Unlabelled) => "unlabelled",
        Some(Outcome::Error) => "error",
        None if record.lost => "lost",
        None => "send_error",
    };
    line + "," + outcome + "\n"
}
