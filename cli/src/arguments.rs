//! What can be written behind `kubectl tailrace`.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Parser, Subcommand};

use crate::target::Target;

/// Follows the LoadTests of Tailrace and writes their results.
#[derive(Parser, Debug)]
#[command(name = "kubectl-tailrace", bin_name = "kubectl tailrace", version)]
pub struct Arguments {
    /// How the cluster is reached.
    #[command(flatten)]
    pub connection: Connection,
    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
}

/// As kubectl has it.
#[derive(Args, Debug)]
pub struct Connection {
    /// The namespace; by default that of the context
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// The context of the kubeconfig; by default the current one
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// The kubeconfig; by default the files in $KUBECONFIG, or ~/.kube/config
    #[arg(long, global = true)]
    pub kubeconfig: Option<PathBuf>,
}

/// One command.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Writes the results of a LoadTest or an Experiment that is over
    Report(Report),
    /// Follows a LoadTest to its end; the exit code says what came of it
    Watch(Watch),
}

/// `report`
#[derive(Args, Debug)]
#[command(after_help = "\
Files in a FOLDER, of a LoadTest: latency_results.txt, results.json, junit.xml, and as .png and .svg \
latency_histogram, percentiles, stages and over_time.
Of an Experiment: results.txt, results.csv, results.json, sweep.png, sweep.svg, and a folder for each LoadTest.

Examples:
  kubectl tailrace report first -o results
  kubectl tailrace report first -o json | jq .latencyMicros.p95
  kubectl tailrace report first -o junit > junit.xml
  kubectl tailrace report experiment/sweep -o results")]
pub struct Report {
    /// NAME or loadtest/NAME of a LoadTest, or experiment/NAME of an Experiment
    #[arg(value_name = "NAME")]
    pub target: Target,
    /// text, json, junit (LoadTests) or csv (Experiments) for standard output, or a FOLDER for all files (./json is
    /// one)
    #[arg(short, long, value_name = "FORMAT|FOLDER", default_value = "text")]
    pub output: Output,
}

/// `watch`
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  the LoadTest succeeded: it finished, its result is valid and its SLOs are met
  1  any other error: no such LoadTest, no cluster, or it was deleted
  2  the result is not valid
  3  an SLO was missed, or the result is slower than its baseline by more than is allowed
  4  the LoadTest was aborted")]
pub struct Watch {
    /// NAME or loadtest/NAME of a LoadTest
    #[arg(value_name = "NAME")]
    pub target: Target,
}

/// Where results go, and in which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The summary, for people.
    Text,
    /// One object.
    Json,
    /// The XML of a test suite.
    Junit,
    /// The table of an Experiment.
    Csv,
    /// All files.
    Folder(PathBuf),
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "" => return Err("write text, json, junit, csv or a folder".into()),
            "text" => Self::Text,
            "json" => Self::Json,
            "junit" => Self::Junit,
            "csv" => Self::Csv,
            folder => Self::Folder(folder.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_may_stand_where_kubectl_users_write_them() {
        for line in
            ["kubectl-tailrace -n iot report first -o out", "kubectl-tailrace report first -o out --namespace iot"]
        {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(arguments.connection.namespace.as_deref(), Some("iot"));
            let Command::Report(report) = arguments.command else { panic!("no report") };
            assert_eq!(report.target, Target::LoadTest("first".into()));
            assert_eq!(report.output, Output::Folder("out".into()));
        }
    }

    #[test]
    fn a_folder_with_the_name_of_a_format_can_be_written() {
        assert_eq!("json".parse(), Ok(Output::Json));
        assert_eq!("./json".parse(), Ok(Output::Folder("./json".into())));
    }
}
