//! What every part that reads topics as a member of a group is told.

use clap::ValueEnum;
use tailrace_crds::duration::Duration as UserDuration;

use super::Cluster;

/// The flags of every member of a group.
#[derive(clap::Args, Clone, Debug)]
pub struct Consuming {
    /// Where Kafka is.
    #[command(flatten)]
    pub cluster: Cluster,
    /// The consumer group: its members share the records.
    #[arg(long, env = "TAILRACE_GROUP")]
    pub group: String,
    /// Where a group begins that has never read: with the oldest record that Kafka keeps, or with the first one that
    /// comes after the group is made.
    #[arg(long, env = "TAILRACE_START_FROM", default_value = "earliest", ignore_case = true)]
    pub start_from: StartFrom,
    /// How many partitions the images' topic has at least; with fewer, this worker is not ready.
    #[arg(long, env = "TAILRACE_IMAGES_PARTITIONS", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub images_partitions: i32,
    /// How many partitions the answers' topic has at least; with fewer, this worker is not ready.
    #[arg(long, env = "TAILRACE_INFERENCES_PARTITIONS", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub inferences_partitions: i32,
    /// How often the settings of the topics are compared with what this build can read.
    #[arg(long, env = "TAILRACE_PROBE_INTERVAL", default_value = "5m")]
    pub probe_interval: UserDuration,
    /// The broker at the bootstrap address keeps its log on a volume of its own, whose use is reported. Only without
    /// TLS.
    #[arg(long, env = "TAILRACE_BROKER_VOLUME")]
    pub broker_volume: bool,
    /// How long errors of Kafka last before this worker is not ready.
    #[arg(long, env = "TAILRACE_TROUBLE_AFTER", default_value = "30s")]
    pub trouble_after: UserDuration,
}

/// Where a group begins that has never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StartFrom {
    /// With the oldest record that Kafka keeps.
    Earliest,
    /// With the first record that comes after the group is made.
    Latest,
}

impl Consuming {
    /// The topics that must be there, with their partitions.
    #[must_use]
    pub fn wanted(&self) -> [(&str, i32); 3] {
        let Cluster { images_topic, inferences_topic, dead_letter_topic, .. } = &self.cluster;
        [(images_topic, self.images_partitions), (inferences_topic, self.inferences_partitions), (dead_letter_topic, 1)]
    }
}
