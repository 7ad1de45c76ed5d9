//! Creates the topics that are missing and raises the partitions of the others.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication, TopicResult},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
};
use serde::Serialize;
use tailrace_crds::duration::Duration as UserDuration;
use tokio_util::sync::CancellationToken;

use crate::{
    attempts::{Attempts, Obstacle},
    kafka::{self, Cluster, can_heal, code_can_heal},
    termination::TerminationMessage,
};

/// How long a change may take at least, however little time is left.
const SHORTEST_REQUEST: Duration = Duration::from_secs(1);

/// The command line of `topics`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where Kafka is.
    #[command(flatten)]
    pub cluster: Cluster,
    /// Partitions of the images' topic; more than that are left as they are.
    #[arg(long, env = "TAILRACE_IMAGES_PARTITIONS", default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub images_partitions: i32,
    /// Partitions of the answers' topic; more than that are left as they are.
    #[arg(long, env = "TAILRACE_INFERENCES_PARTITIONS", default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub inferences_partitions: i32,
    /// How long to wait for Kafka, such as 60s or 5m.
    #[arg(long, env = "TAILRACE_TIMEOUT", default_value = "120s")]
    pub timeout: UserDuration,
    /// Where the result or the reason of a failure goes.
    #[command(flatten)]
    pub termination: TerminationMessage,
}

/// The topics as they are now.
#[derive(Serialize)]
struct Found {
    topics: Vec<Topic>,
}

#[derive(Serialize)]
struct Topic {
    name: String,
    partitions: i32,
}

/// A change of the topics that Kafka did not make.
#[derive(Debug, thiserror::Error)]
enum Unchanged {
    /// The request failed.
    #[error("Kafka does not {action} topics: {source}")]
    Failed { action: &'static str, source: KafkaError },
    /// The answer was no.
    #[error("Kafka refuses to {action} the topic {name}: {code}")]
    Refused { action: &'static str, name: String, code: RDKafkaErrorCode },
}

impl Obstacle for Unchanged {
    fn reason(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "NoAnswer",
            Self::Refused { .. } => "Refused",
        }
    }

    fn can_heal(&self) -> bool {
        match self {
            Self::Failed { source, .. } => can_heal(source),
            Self::Refused { code, .. } => code_can_heal(*code),
        }
    }
}

/// Creates, raises, waits until each partition has a leader, and reports the topics.
///
/// # Errors
/// When Kafka does not answer in time or refuses.
pub fn run(args: Args) -> anyhow::Result<()> {
    args.termination.report(ensure(&args))
}

fn ensure(args: &Args) -> anyhow::Result<Found> {
    let (cluster, deadline) = (&args.cluster, Instant::now() + args.timeout.get());
    let admin: AdminClient<DefaultClientContext> = cluster.client().create().context("cannot set up Kafka's client")?;
    let never = CancellationToken::new();
    let found = kafka::wait_for_topics(admin.inner(), &[], args.timeout.get(), &never)?;

    let wanted = [
        (cluster.images_topic.as_str(), args.images_partitions),
        (cluster.inferences_topic.as_str(), args.inferences_partitions),
        (cluster.dead_letter_topic.as_str(), 1),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // A broker that is starting takes no changes yet.
    let tell = |obstacle: &dyn Obstacle| tracing::warn!("{obstacle}; it is asked again");
    let attempts = Attempts::new(Some(deadline), &never, &tell);
    attempts.until_done(|limit| runtime.block_on(create(&admin, &wanted, &found, &options(limit))))?;
    attempts.until_done(|limit| runtime.block_on(raise(&admin, &wanted, &found, &options(limit))))?;

    let found = wait_for_partitions(&admin, &wanted, deadline)?;
    let topics = wanted.iter().filter_map(|(name, _)| found.get_key_value(*name));
    Ok(Found {
        topics: topics.map(|(name, partitions)| Topic { name: name.clone(), partitions: *partitions }).collect(),
    })
}

type Admin = AdminClient<DefaultClientContext>;
type Partitions = BTreeMap<String, i32>;

async fn create(
    admin: &Admin,
    wanted: &[(&str, i32)],
    found: &Partitions,
    options: &AdminOptions,
) -> Result<(), Unchanged> {
    let missing = wanted.iter().filter(|(name, _)| !found.contains_key(*name));
    // -1: the replication that the broker has as its default.
    let topics: Vec<_> =
        missing.map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(-1))).collect();
    if topics.is_empty() {
        return Ok(());
    }
    // Somebody else may have created it meanwhile.
    let action = "create";
    let results = admin.create_topics(&topics, options).await.map_err(|source| Unchanged::Failed { action, source })?;
    refused(results, RDKafkaErrorCode::TopicAlreadyExists, action)
}

async fn raise(
    admin: &Admin,
    wanted: &[(&str, i32)],
    found: &Partitions,
    options: &AdminOptions,
) -> Result<(), Unchanged> {
    let too_few = wanted.iter().filter(|(name, partitions)| found.get(*name).is_some_and(|now| now < partitions));
    let topics: Vec<_> =
        too_few.map(|(name, partitions)| NewPartitions::new(name, partitions.unsigned_abs() as usize)).collect();
    if topics.is_empty() {
        return Ok(());
    }
    let action = "raise the partitions of";
    let results = admin.create_partitions(&topics, options).await;
    let results = results.map_err(|source| Unchanged::Failed { action, source })?;
    refused(results, RDKafkaErrorCode::InvalidPartitions, action)
}

fn options(limit: Duration) -> AdminOptions {
    let timeout = Some(limit.max(SHORTEST_REQUEST));
    AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
}

/// `harmless` is the answer when somebody else did the same at the same time; the wait afterwards sees the truth.
fn refused(results: Vec<TopicResult>, harmless: RDKafkaErrorCode, action: &'static str) -> Result<(), Unchanged> {
    for result in results {
        match result {
            Ok(name) => tracing::info!("{action} {name}: done"),
            Err((name, code)) if code == harmless => tracing::info!("{action} {name}: {code}"),
            Err((name, code)) => return Err(Unchanged::Refused { action, name, code }),
        }
    }
    Ok(())
}

fn wait_for_partitions(admin: &Admin, wanted: &[(&str, i32)], deadline: Instant) -> anyhow::Result<Partitions> {
    let names: Vec<_> = wanted.iter().map(|(name, _)| *name).collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let found = kafka::wait_for_topics(admin.inner(), &names, left, &CancellationToken::new())?;
        let Some((name, partitions)) = wanted.iter().find(|(name, least)| found.get(*name) < Some(least)) else {
            return Ok(found);
        };
        if left.is_zero() {
            bail!("the topic {name} still has fewer than {partitions} partitions");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
