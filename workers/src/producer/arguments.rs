//! The command line of the producer.

use std::time::Duration;

use clap::{
    ValueEnum,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use tailrace_measure::{
    load::{self, Arrivals},
    schedule::{Constant, NoSchedule, Poisson, Schedule},
};

use super::{
    dataset::DatasetArgs,
    plan::{Closed, Load, Plan},
};
use crate::kafka::Cluster;

/// Sends images on a schedule and measures how long their answers take. Without a LoadTest it starts by itself when it
/// is ready, and prints the measurement.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What all producers of a test have in common.
    #[command(flatten)]
    pub test: TestArgs,
    /// Which of the producers this one is, from 0.
    #[arg(long, env = "TAILRACE_INDEX", default_value_t = 0)]
    pub index: u32,
    /// The `ce_source` of the images, never used before; by default made up at random.
    #[arg(long, env = "TAILRACE_SOURCE")]
    pub source: Option<String>,
    /// The LoadTest that this producer belongs to.
    #[command(flatten)]
    pub load_test: LoadTestArgs,
}

/// What all producers of a test have in common.
#[derive(clap::Args, Clone, Debug)]
pub struct TestArgs {
    /// Where Kafka is.
    #[command(flatten)]
    pub cluster: Cluster,
    /// How many producers send at the same time.
    #[arg(long, env = "TAILRACE_PRODUCERS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub producers: u32,
    /// When images are sent.
    #[arg(long, env = "TAILRACE_LOAD", default_value = "open")]
    pub load: LoadModel,
    /// Images a second of each producer; an open load needs it.
    #[arg(long, env = "TAILRACE_RATE")]
    pub rate: Option<u32>,
    /// How the images of an open load follow each other.
    #[arg(long, env = "TAILRACE_ARRIVALS", default_value = "constant", value_parser = arrivals())]
    pub arrivals: Arrivals,
    /// How many images of a closed load wait for their answers at the same time.
    #[arg(long, env = "TAILRACE_OUTSTANDING", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub outstanding: u32,
    /// How long a closed load waits from an answer to the image that follows it.
    #[arg(long, env = "TAILRACE_THINK_TIME", default_value = "0s", value_parser = duration)]
    pub think_time: Duration,
    /// Load before the measurement; these images are counted apart.
    #[arg(long, env = "TAILRACE_WARMUP", default_value = "10s", value_parser = duration)]
    pub warmup: Duration,
    /// The length of the measurement.
    #[arg(long, env = "TAILRACE_DURATION", default_value = "60s", value_parser = duration)]
    pub duration: Duration,
    /// How long answers are waited for after the last image; what has not come by then is lost.
    #[arg(long, env = "TAILRACE_DRAIN_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub drain_timeout: Duration,
    /// How long it may take to be ready.
    #[arg(long, env = "TAILRACE_READY_TIMEOUT", default_value = "5m", value_parser = duration)]
    pub ready_timeout: Duration,
    /// The seed of the order of the images, and of Poisson arrivals: the same seed, the same order and times.
    #[arg(long, env = "TAILRACE_SEED", default_value_t = 42)]
    pub seed: u64,
    /// The images.
    #[command(flatten)]
    pub dataset: DatasetArgs,
    /// Keeps a line for each message. A producer prints them at the end of its log, as CSV, compressed with Zstandard
    /// and written in base64.
    #[arg(long, env = "TAILRACE_RAW_LOG")]
    pub raw_log: bool,
    /// The classifier's consumer group: it must have nothing left to do before a producer is ready.
    #[arg(long = "group-to-watch", env = "TAILRACE_INFERENCE_GROUP")]
    pub inference_group: Option<String>,
    /// The db-consumer's consumer group: what Kafka deletes before it was read is counted.
    #[arg(long = "archive-group-to-watch", env = "TAILRACE_ARCHIVE_GROUP")]
    pub archive_group: Option<String>,
    /// The UID of the Pipeline that is measured: answers of others, on the same topics, are only counted. Without it
    /// all answers are taken.
    #[arg(long, env = "TAILRACE_PIPELINE_UID")]
    pub pipeline_uid: Option<String>,
}

/// One of the producers of a test.
#[derive(Clone, Debug)]
pub struct Member {
    /// Which one, from 0.
    pub index: u32,
    /// The `ce_source` of its images, never used before.
    pub source: String,
}

impl Member {
    /// A producer whose source is made up at random where none is given.
    pub fn new(index: u32, source: Option<String>) -> Self {
        let source = source.unwrap_or_else(|| format!("producer-{:016x}", rand::random::<u64>()));
        Self { index, source }
    }
}

/// When images are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LoadModel {
    /// On a schedule that does not wait for answers.
    Open,
    /// The next image when an answer has come.
    Closed,
}

/// What a producer on Kubernetes knows of itself.
#[derive(clap::Args, Debug)]
pub struct LoadTestArgs {
    /// The name of the LoadTest that gives the common start.
    #[arg(long = "load-test", env = "TAILRACE_LOAD_TEST", requires_all = ["producer_report", "namespace", "pod_uid", "node"])]
    pub load_test: Option<String>,
    /// The name of the ProducerReport that takes the result.
    #[arg(long, env = "TAILRACE_PRODUCER_REPORT")]
    pub producer_report: Option<String>,
    /// The namespace of both.
    #[arg(long, env = "TAILRACE_NAMESPACE")]
    pub namespace: Option<String>,
    /// The UID of this pod.
    #[arg(long, env = "TAILRACE_POD_UID")]
    pub pod_uid: Option<String>,
    /// The name of this pod's node.
    #[arg(long, env = "TAILRACE_NODE")]
    pub node: Option<String>,
}

/// The command line says nothing that could be done.
#[derive(Debug, thiserror::Error)]
pub enum NoPlan {
    /// An open load has no rate.
    #[error("an open load needs a rate: write --rate with the images a second of this producer, or --load closed")]
    Rate,
    /// The rate is 0, or the index is not below the number of producers.
    #[error(transparent)]
    Schedule(#[from] NoSchedule),
}

impl TestArgs {
    /// When images are to be sent by the producer with this index.
    ///
    /// # Errors
    /// [`NoPlan`] says what to write instead.
    pub fn plan(&self, index: u32) -> Result<Plan, NoPlan> {
        let load = match (self.load, self.rate) {
            (LoadModel::Open, Some(rate)) => Load::Open(self.schedule(rate, index)?),
            (LoadModel::Open, None) => return Err(NoPlan::Rate),
            (LoadModel::Closed, _) => {
                // Also in a closed load the index must be one of the producers'.
                self.schedule(1, index)?;
                Load::Closed(Closed { outstanding: self.outstanding, think_time: self.think_time })
            }
        };
        Ok(Plan { load, warmup: self.warmup, duration: self.duration, drain: self.drain_timeout })
    }

    /// The load of one producer, for the result.
    pub fn load_of_each(&self) -> load::Load {
        match self.load {
            LoadModel::Open => {
                load::Load::Open { rate_per_producer: self.rate.unwrap_or_default(), arrivals: self.arrivals }
            }
            LoadModel::Closed => load::Load::Closed { outstanding: self.outstanding, think_time: self.think_time },
        }
    }

    fn schedule(&self, rate: u32, index: u32) -> Result<Schedule, NoSchedule> {
        let Self { producers, seed, .. } = *self;
        match self.arrivals {
            Arrivals::Constant => Constant::new(rate, producers, index).map(Schedule::Constant),
            Arrivals::Poisson => Poisson::new(rate, producers, index, seed).map(Schedule::Poisson),
        }
    }
}

fn arrivals() -> impl TypedValueParser<Value = Arrivals> {
    let values = [
        PossibleValue::new("constant").help("At even intervals"),
        PossibleValue::new("poisson").help("At random and independently, at the rate on average"),
    ];
    PossibleValuesParser::new(values).map(|name| if name == "poisson" { Arrivals::Poisson } else { Arrivals::Constant })
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration: tailrace_crds::duration::Duration = text.parse().map_err(|error| format!("{error}"))?;
    Ok(duration.get())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(line: &str) -> Result<Args, String> {
        let words = format!("producer --bootstrap-servers localhost:9092 {line}");
        let parsed = CommandLine::try_parse_from(words.split_whitespace());
        parsed.map(|line| line.args).map_err(|error| error.to_string())
    }

    fn plan(line: &str) -> Result<Plan, NoPlan> {
        let args = parsed(line).unwrap();
        args.test.plan(args.index)
    }

    #[test]
    fn an_open_load_needs_a_rate_and_a_closed_one_does_not() {
        assert!(plan("").unwrap_err().to_string().contains("--rate"));
        assert!(matches!(plan("--rate 20").unwrap().load, Load::Open(_)));
        assert!(matches!(plan("--load closed").unwrap().load, Load::Closed(_)));
    }

    #[test]
    fn durations_are_written_as_in_a_load_test() {
        assert_eq!(parsed("--rate 1 --duration 1m30s").unwrap().test.duration, Duration::from_secs(90));
        assert!(parsed("--rate 1 --duration 5x").unwrap_err().contains("such as 250ms"));
    }

    #[test]
    fn a_producer_of_a_load_test_knows_its_report_and_its_pod() {
        assert!(parsed("--rate 1 --load-test sweep-1").unwrap_err().contains("--pod-uid"));
        let known = "--load-test a --producer-report a-producer-0 --namespace b --pod-uid c --node d";
        assert!(parsed(&format!("--rate 1 {known}")).is_ok());
    }

    #[test]
    fn an_index_beyond_the_producers_is_refused() {
        for load in ["--rate 1", "--load closed"] {
            let refused = plan(&format!("{load} --index 2 --producers 2")).unwrap_err();
            assert!(refused.to_string().contains("from 0 to one less"), "{refused}");
        }
    }
}
