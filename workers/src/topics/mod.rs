//! Creates the topics that are missing and raises the partitions of the others.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, bail};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication, TopicResult},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};
use serde::Serialize;
use tailrace_crds::duration::Duration as UserDuration;
use tokio_util::sync::CancellationToken;

use crate::{
    kafka::{self, Cluster},
    termination::TerminationMessage,
};

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

/// Creates, raises, waits until each partition has a leader, and reports the topics.
///
/// # Errors
/// When Kafka does not answer in time or refuses.
pub fn run(args: Args) -> anyhow::Result<()> {
    args.termination.report(ensure(&args))
}

fn ensure(args: &Args) -> anyhow::Result<Found> {
    let cluster = &args.cluster;
    let admin: AdminClient<DefaultClientContext> = cluster.client().create().context("cannot set up Kafka's client")?;
    let never = CancellationToken::new();
    let found = kafka::wait_for_topics(admin.inner(), &[], args.timeout.get(), &never)?;

    let wanted = [
        (cluster.images_topic.as_str(), args.images_partitions),
        (cluster.inferences_topic.as_str(), args.inferences_partitions),
        (cluster.dead_letter_topic.as_str(), 1),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(create(&admin, &wanted, &found))?;
    runtime.block_on(raise(&admin, &wanted, &found))?;

    let found = wait_for_partitions(&admin, &wanted, args.timeout.get())?;
    let topics = wanted.iter().filter_map(|(name, _)| found.get_key_value(*name));
    Ok(Found {
        topics: topics.map(|(name, partitions)| Topic { name: name.clone(), partitions: *partitions }).collect(),
    })
}

type Admin = AdminClient<DefaultClientContext>;
type Partitions = BTreeMap<String, i32>;

async fn create(admin: &Admin, wanted: &[(&str, i32)], found: &Partitions) -> anyhow::Result<()> {
    let missing = wanted.iter().filter(|(name, _)| !found.contains_key(*name));
    // -1: the replication that the broker has as its default.
    let topics: Vec<_> =
        missing.map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(-1))).collect();
    if topics.is_empty() {
        return Ok(());
    }
    // Somebody else may have created it meanwhile.
    let results = admin.create_topics(&topics, &options()).await.context("cannot create topics")?;
    refused(results, RDKafkaErrorCode::TopicAlreadyExists, "create")
}

async fn raise(admin: &Admin, wanted: &[(&str, i32)], found: &Partitions) -> anyhow::Result<()> {
    let too_few = wanted.iter().filter(|(name, partitions)| found.get(*name).is_some_and(|now| now < partitions));
    let topics: Vec<_> =
        too_few.map(|(name, partitions)| NewPartitions::new(name, partitions.unsigned_abs() as usize)).collect();
    if topics.is_empty() {
        return Ok(());
    }
    let results = admin.create_partitions(&topics, &options()).await.context("cannot raise partitions")?;
    refused(results, RDKafkaErrorCode::InvalidPartitions, "raise the partitions of")
}

fn options() -> AdminOptions {
    let timeout = Some(Duration::from_secs(30));
    AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
}

/// `harmless` is the answer when somebody else did the same at the same time; the wait afterwards sees the truth.
fn refused(results: Vec<TopicResult>, harmless: RDKafkaErrorCode, action: &str) -> anyhow::Result<()> {
    for result in results {
        match result {
            Ok(name) => tracing::info!("{action} {name}: done"),
            Err((name, code)) if code == harmless => tracing::info!("{action} {name}: {code}"),
            Err((name, code)) => bail!("Kafka refuses to {action} the topic {name}: {code}"),
        }
    }
    Ok(())
}

fn wait_for_partitions(admin: &Admin, wanted: &[(&str, i32)], limit: Duration) -> anyhow::Result<Partitions> {
    let begun = std::time::Instant::now();
    let names: Vec<_> = wanted.iter().map(|(name, _)| *name).collect();
    loop {
        let left = limit.saturating_sub(begun.elapsed());
        let found = kafka::wait_for_topics(admin.inner(), &names, left, &CancellationToken::new())?;
        let Some((name, partitions)) = wanted.iter().find(|(name, least)| found.get(*name) < Some(least)) else {
            return Ok(found);
        };
        if begun.elapsed() > limit {
            bail!("the topic {name} still has fewer than {partitions} partitions after {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
