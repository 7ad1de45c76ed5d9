//! `tailrace-worker`: reads the command line, runs one part of a pipeline, and says how it ended.
#![forbid(unsafe_code)]

use std::{io::IsTerminal, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use tailrace_worker::{
    check, db_consumer, delete_documents, evaluate, http, inference, inference_consumer, inference_server, load_test,
    producer, ready, sentence::sentence, topics,
};
use tracing_subscriber::EnvFilter;

/// One part of an image-inference pipeline. Every flag can also be given by its environment variable.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(subcommand)]
    part: Part,
    /// How log lines are written to standard error.
    #[arg(long, env = "TAILRACE_LOG_FORMAT", global = true, default_value = "text")]
    log_format: LogFormat,
}

#[derive(Subcommand)]
enum Part {
    /// Creates the topics that are missing and raises the partitions of the others.
    Topics(topics::Args),
    /// Sends one image through the pipeline and waits for its answer and its documents.
    Check(check::Args),
    /// Classifies the images of a topic and answers them on another, and those that come over HTTP.
    Inference(inference::Args),
    /// Brings the images of a topic to an inference server over HTTP, and its answers to another topic.
    InferenceConsumer(inference_consumer::Args),
    /// Classifies the images that come over HTTP, without Kafka.
    InferenceServer(inference_server::Args),
    /// Writes images and answers into the database.
    DbConsumer(db_consumer::Args),
    /// Deletes the documents of one source: what a LoadTest has written.
    DeleteDocuments(delete_documents::Args),
    /// Sends images on a schedule and measures how long their answers take.
    Producer(producer::Args),
    /// Measures a pipeline with several producers, and writes the results into a folder.
    LoadTest(load_test::Args),
    /// Asks a worker at this address whether it can do its work.
    Ready(http::HealthArgs),
    /// Says how many images of the CIFAR-10 test set a model knows, and how many it classifies a second.
    Evaluate(evaluate::Args),
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    start_logging(command_line.log_format);
    match run(command_line.part) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{}", sentence(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(part: Part) -> anyhow::Result<ExitCode> {
    match part {
        Part::Topics(args) => topics::run(args),
        Part::Check(args) => check::run(args),
        Part::Inference(args) => inference::run(args),
        Part::InferenceConsumer(args) => inference_consumer::run(args),
        Part::InferenceServer(args) => inference_server::run(args),
        Part::DbConsumer(args) => db_consumer::run(args),
        Part::DeleteDocuments(args) => delete_documents::run(args),
        Part::Producer(args) => producer::run(args),
        Part::LoadTest(args) => return load_test::run(&args),
        Part::Ready(args) => ready::run(&args),
        Part::Evaluate(args) => evaluate::run(&args),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Of Kafka's client, what it says itself is shown from warnings on, but not what its Rust side repeats many times a
/// second while a broker is away, nor that a client that cannot go on cannot be closed. Who renders pictures warns of
/// what they do not need.
const QUIET: &str = "librdkafka=warn,rdkafka=warn,rdkafka::client=off,rdkafka::consumer::base_consumer=off,\
    simplecss=error,tiny_skia=error";
const DEFAULT_LEVEL: &str = "info";

/// The directives of `RUST_LOG` go before those that keep libraries quiet.
fn filter(rust_log: Option<&str>) -> EnvFilter {
    let filter = |wanted: &str| EnvFilter::try_new(format!("{QUIET},{wanted}"));
    let wanted = rust_log.filter(|wanted| !wanted.trim().is_empty());
    wanted.and_then(|wanted| filter(wanted).ok()).or_else(|| filter(DEFAULT_LEVEL).ok()).unwrap_or_default()
}

fn start_logging(format: LogFormat) {
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter(std::env::var("RUST_LOG").ok().as_deref()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => logging.init(),
        LogFormat::Json => logging.json().flatten_event(true).init(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_leaves_the_libraries_quiet_and_a_directive_wakes_them() {
        for (rust_log, shown, hidden) in [
            (None, "info", "debug"),
            (Some(""), "info", "debug"),
            (Some("no=such=level"), "info", "debug"),
            (Some("debug"), "librdkafka=warn", "librdkafka=debug"),
            (Some("info,librdkafka=debug,rdkafka::client=info"), "librdkafka=debug", "rdkafka::client=off"),
        ] {
            let filter = filter(rust_log).to_string();
            let directives: Vec<_> = filter.split(',').collect();
            assert!(directives.contains(&shown), "{rust_log:?}: no {shown} in {filter}");
            assert!(!directives.contains(&hidden), "{rust_log:?}: {hidden} in {filter}");
        }
    }
}
