//! `kubectl-tailrace`: reads its arguments, runs one command and ends with its exit code.

#![forbid(unsafe_code)]

mod arguments;
mod cluster;
mod failure;
mod proxy;
mod report;
mod results;
mod target;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use cluster::Cluster;
use failure::Failure;

fn main() -> ExitCode {
    #[cfg(unix)]
    if let Some(failed) = start_with_readable_no_proxy() {
        eprintln!("error: {failed}");
        return ExitCode::FAILURE;
    }
    started()
}

/// The client of the cluster reads `NO_PROXY` itself and gives up at an entry that it cannot read, such as the empty
/// one behind a last comma. Other programs pass over it, so this one starts itself again without.
#[cfg(unix)]
fn start_with_readable_no_proxy() -> Option<std::io::Error> {
    use std::{env, os::unix::process::CommandExt, process};
    let values = ["NO_PROXY", "no_proxy"].map(|name| (name, env::var(name).unwrap_or_default()));
    if values.iter().all(|(_, value)| value.is_empty() || proxy::readable(value) == *value) {
        return None;
    }
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return Some(error),
    };
    let mut again = process::Command::new(program);
    again.args(env::args_os().skip(1)).envs(values.map(|(name, value)| (name, proxy::readable(&value))));
    Some(again.exec())
}

#[tokio::main(flavor = "current_thread")]
async fn started() -> ExitCode {
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
