//! Results as CSV: a line a LoadTest, or a line a message.

use tailrace_measure::summary::Percentiles;

use crate::{
    raw_log::Message,
    values::{Repetition, Sweep, Varied},
};

/// A table could not be written; what is written goes to memory.
#[derive(Debug, thiserror::Error)]
#[error("the table cannot be written: {0}")]
pub struct TableError(#[from] csv::Error);

/// The columns after the one that varies.
const COLUMNS: [&str; 9] = [
    "repetition",
    "load_test",
    "verdict",
    "p50_us",
    "p90_us",
    "p95_us",
    "p99_us",
    "lost",
    "achieved_images_per_second",
];
/// In the order of the columns.
const PERCENTILES: [fn(&Percentiles) -> Option<u64>; 4] =
    [|latency| latency.p50, |latency| latency.p90, |latency| latency.p95, |latency| latency.p99];

/// The LoadTests of an Experiment, in the order of its points. Latencies are in microseconds; one that falls on images
/// without an answer is `inf`, one that was not measured is empty.
///
/// # Errors
/// Those of the writer, which writes to memory.
pub fn sweep(sweep: &Sweep) -> Result<String, TableError> {
    let mut table = csv::Writer::from_writer(vec![]);
    let varied = match sweep.varied {
        Varied::Producers => "producers",
        Varied::Rate => "images_per_second",
    };
    table.write_record(std::iter::once(varied).chain(COLUMNS))?;
    for point in &sweep.points {
        for (number, repetition) in (1u32..).zip(&point.repetitions) {
            table.write_record(row(point.value, number, repetition))?;
        }
    }
    finish(table)
}

fn row(value: f64, number: u32, repetition: &Repetition) -> Vec<String> {
    let verdict = repetition.verdict.map_or("unfinished", |verdict| verdict.title());
    let mut row = vec![value.to_string(), number.to_string(), repetition.name.clone(), verdict.to_owned()];
    row.extend(PERCENTILES.map(|percentile| micros(repetition.latency.as_ref(), percentile)));
    row.push(repetition.lost.map(|lost| lost.to_string()).unwrap_or_default());
    row.push(repetition.achieved_rate.map(|rate| rate.to_string()).unwrap_or_default());
    row
}

fn micros(latency: Option<&Percentiles>, percentile: fn(&Percentiles) -> Option<u64>) -> String {
    latency.map_or_else(String::new, |latency| {
        percentile(latency).map_or_else(|| "inf".to_owned(), |micros| micros.to_string())
    })
}

/// Each message as its producer wrote it.
///
/// # Errors
/// Those of the writer, which writes to memory.
pub fn messages(messages: &[Message]) -> Result<String, TableError> {
    let mut table = csv::Writer::from_writer(vec![]);
    for message in messages {
        table.serialize(message)?;
    }
    finish(table)
}

fn finish(table: csv::Writer<Vec<u8>>) -> Result<String, TableError> {
    let bytes = table.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
