//! `kubectl-tailrace`: reads its arguments, runs one command and ends with its exit code.

#![forbid(unsafe_code)]

mod arguments;
mod cluster;
mod failure;
mod report;
mod results;
mod target;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use cluster::Cluster;
use failure::Failure;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // clap's own code for wrong arguments is that of a result that is not valid.
        Err(answer) => {
            let failed = answer.use_stderr();
            let _ = answer.print();
            return if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match run(arguments).await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let cluster = Cluster::connect(&arguments.connection).await?;
    match arguments.command {
        Command::Report(arguments) => report::run(&cluster, &arguments).await.map(|()| ExitCode::SUCCESS),
        Command::Watch(arguments) => {
            watch::run(&cluster, &arguments).await.map(|verdict| ExitCode::from(verdict.exit_code()))
        }
    }
}
