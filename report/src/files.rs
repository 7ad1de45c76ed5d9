//! All that is written of a result, by name.

use crate::{
    figures::{self, Figure, FigureError},
    json, junit, table,
    table::TableError,
    text,
    values::{Run, Sweep},
};

/// A file that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Relative to a folder, with `/` between parts.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// A file that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A picture.
    #[error(transparent)]
    Figure(#[from] FigureError),
    /// A table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// XML, which is written to memory.
    #[error("the JUnit report cannot be written: {0}")]
    Junit(#[from] std::io::Error),
}

/// The files of a LoadTest: texts, and the pictures for which there are numbers.
///
/// # Errors
/// A [`FilesError`] that no result is known to have.
pub fn of_run(run: &Run) -> Result<Vec<File>, FilesError> {
    let mut files = vec![
        file("latency_results.txt", text::of_run(run)?),
        file("results.json", json_text(&json::of_run(run))),
        file("junit.xml", junit::of_run(run)?),
    ];
    let figures = [
        ("latency_histogram", figures::histogram(run)?),
        ("percentiles", figures::percentiles(run)?),
        ("stages", figures::stages(run)?),
        ("over_time", figures::over_time(run)?),
    ];
    for (name, figure) in figures {
        if let Some(figure) = figure {
            files.extend(both(name, &figure)?);
        }
    }
    Ok(files)
}

/// The files of an Experiment, and those of each of its LoadTests in a folder of its name.
///
/// # Errors
/// A [`FilesError`] that no result is known to have.
pub fn of_sweep(sweep: &Sweep, runs: &[Run]) -> Result<Vec<File>, FilesError> {
    let mut files = vec![
        file("results.txt", text::of_sweep(sweep)),
        file("results.csv", table::sweep(sweep)?),
        file("results.json", json_text(&json::of_sweep(sweep))),
    ];
    files.extend(both("sweep", &figures::sweep(sweep, runs)?)?);
    for run in runs {
        let of_run = of_run(run)?.into_iter();
        files.extend(of_run.map(|File { name, bytes }| File { name: format!("{}/{name}", run.name), bytes }));
    }
    Ok(files)
}

/// JSON as a text that people can read.
pub fn json_text(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

fn both(name: &str, figure: &Figure) -> Result<[File; 2], FigureError> {
    let png = File { name: format!("{name}.png"), bytes: figure.png()? };
    Ok([file(&format!("{name}.svg"), figure.svg().to_owned()), png])
}

fn file(name: &str, text: String) -> File {
    File { name: name.to_owned(), bytes: text.into_bytes() }
}
