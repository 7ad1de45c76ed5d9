//! Measures a pipeline with several producers, without Kubernetes.
//!
//! The producers are those of a LoadTest, all in this process; they start [`together`], their numbers are summed by the
//! same code, and what came of it is written in the same forms as by `kubectl tailrace report`.

mod arguments;
mod dataset;
mod folder;
mod progress;
mod result;
mod together;

use std::process::ExitCode;

use anyhow::bail;
use futures::future::try_join_all;
use tailrace_report::{files, text};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub use arguments::Args;

use crate::producer::{self, Measurement, Member};

use folder::Folder;
use result::Measured;
use together::Together;

/// Runs the load, writes the results and says in the exit code what came of it: 0 if the test succeeded, 2 if its
/// numbers do not mean what they say, 3 if an objective is missed, 4 if it was ended early.
///
/// # Errors
/// When there is no measurement, or it could not be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let folder = Folder::prepare(&args.output)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = result::run(args, runtime.block_on(measure(args))?)?;
    let files = files::of_run(&run)?;
    print!("{}", text::summary(&run));
    folder.write(&files)?;
    Ok(ExitCode::from(run.verdict.exit_code()))
}

async fn measure(args: &Args) -> anyhow::Result<Measured> {
    let together = Together::new(&args.test);
    let members: Vec<_> = (0..args.test.producers).map(|index| Member::new(index, None)).collect();
    let places: Vec<_> = members.iter().map(|member| together.place(member.index)).collect();
    let stop = CancellationToken::new();
    let producers =
        members.iter().zip(&places).map(|(member, place)| producer::measure(&args.test, member, place, &stop));
    let measurements: Vec<Measurement> = tokio::select! {
        measurements = try_join_all(producers) => measurements?,
        asked = end_when_asked(&together) => asked?,
    };
    Ok(Measured { measurements, started: together.started(), aborted: together.is_aborted() })
}

/// The first SIGINT or SIGTERM ends the sending, and what was sent is measured. The second one ends everything, and so
/// does one before the start.
async fn end_when_asked<T>(together: &Together) -> anyhow::Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if together.started().is_none() {
            bail!("the test was ended before its start");
        }
        if together.is_aborted() {
            bail!("the test was ended before its last answers were there: there are no results");
        }
        tracing::info!("no more images are sent; once more, and there will be no results");
        together.abort();
    }
}
