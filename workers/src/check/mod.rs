//! Sends one image through the pipeline and waits for its answer and its documents.
//!
//! Other images may be ahead of it: while whoever reads them gets on, it goes on waiting, and says how many they are.

mod patience;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use jiff::Timestamp;
use mongodb::{
    Database,
    bson::{Document, doc},
};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use serde::Serialize;
use tailrace_crds::duration::Duration as UserDuration;
use tailrace_wire::{Answer, AnswerEvent, ImageEvent, Label, PNG};
use tokio::time::{sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    db_consumer::database,
    images::Identity,
    kafka::{self, Cluster, can_heal},
    termination::TerminationMessage,
};
use patience::{Patience, Place};

/// The first image of CIFAR-10's test set.
const PICTURE: &[u8] = include_bytes!("../../../models/sample/0000-cat.png");
/// The CloudEvents source of the image.
const SOURCE: &str = "tailrace-check";
/// The longest poll for answers.
const POLL: Duration = Duration::from_secs(1);
/// How often the database is asked for the documents.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How long the database may take for it.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// The command line of `check`. The connection string comes from TAILRACE_MONGODB_URI alone.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where Kafka is.
    #[command(flatten)]
    pub cluster: Cluster,
    /// The database in which the documents must appear; without it, only the answer is waited for.
    #[arg(long, env = "TAILRACE_DATABASE")]
    pub database: Option<String>,
    /// What the answer must be known by: those of other Pipelines on the same topics do not count.
    #[command(flatten)]
    pub identity: Identity,
    /// The classifier's consumer group: while it gets on with the images that are ahead, the time does not run.
    #[arg(long, env = "TAILRACE_INFERENCE_GROUP")]
    pub inference_group: Option<String>,
    /// The same of the db-consumer.
    #[arg(long, env = "TAILRACE_ARCHIVE_GROUP")]
    pub archive_group: Option<String>,
    /// How long each step may take while nothing gets on, such as 60s or 5m.
    #[arg(long, env = "TAILRACE_TIMEOUT", default_value = "120s")]
    pub timeout: UserDuration,
    /// How long all of it may take, however much is ahead of the image.
    #[arg(long, env = "TAILRACE_LONGEST", default_value = "1h")]
    pub longest: UserDuration,
    /// Where the result or the reason of a failure goes.
    #[command(flatten)]
    pub termination: TerminationMessage,
}

/// That an image went through.
#[derive(Serialize)]
struct Passed {
    model: Model,
    /// From sending the image to its answer.
    millis: u128,
}

#[derive(Serialize)]
struct Model {
    name: String,
    sha256: String,
}

/// Checks, and reports the model that answered.
///
/// # Errors
/// The step at which the image is stuck.
pub fn run(args: Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    args.termination.report(runtime.block_on(check(&args)))
}

async fn check(args: &Args) -> anyhow::Result<Passed> {
    let end = Instant::now() + args.longest.get();
    let patience = |group: &Option<String>| Patience::new(&args.cluster, group.as_deref(), args.timeout.get(), end);
    let answers = Answers::listen(&args.cluster, args.identity.pipeline_uid.clone(), args.timeout.get())?;
    let image = ImageEvent {
        id: Timestamp::now().as_nanosecond().to_string(),
        source: SOURCE.to_owned(),
        time: Timestamp::now(),
        content_type: PNG.to_owned(),
        reply_partition: Some(answers.partition),
    };
    let sent = Instant::now();
    let place = send(&args.cluster, &image, sent + args.timeout.get()).await?;
    let (label, answered) =
        answers.wait(&image.subject(), patience(&args.inference_group)?.for_record(place.clone()))?;
    let millis = sent.elapsed().as_millis();
    if let Some(name) = &args.database {
        let database = database::open(name, args.timeout.get()).await?;
        for (collection, place) in [(database::IMAGES, place), (database::INFERENCES, answered)] {
            let patience = patience(&args.archive_group)?.for_record(place);
            wait_for_document(&database, collection, &image.subject(), patience).await?;
        }
    }
    Ok(Passed { model: Model { name: label.model, sha256: label.model_sha256 }, millis })
}

/// Where the image is.
async fn send(cluster: &Cluster, image: &ImageEvent, deadline: Instant) -> anyhow::Result<Place> {
    let mut config = cluster.producer();
    // For one record it would only cost the half second that Kafka takes to number its producers.
    config.set("enable.idempotence", "false");
    let producer: FutureProducer = config.create().context("cannot set up Kafka's producer")?;
    let topic = &cluster.images_topic;
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        // One that came all the same has the same id, so it is archived once.
        let record = FutureRecord::<(), _>::to(topic).payload(PICTURE).headers(image.to_headers());
        let error = match timeout_at(deadline.into(), producer.send(record, Timeout::Never)).await {
            Ok(Ok(sent)) => return Ok(Place { topic: topic.clone(), partition: sent.partition, offset: sent.offset }),
            Ok(Err((error, _))) => error,
            Err(_) => bail!("Kafka did not acknowledge an image on the topic {topic} in time"),
        };
        let delay = backoff.delay();
        if !can_heal(&error) || Instant::now() + delay >= deadline {
            bail!("Kafka does not take an image on the topic {topic}: {error}");
        }
        tracing::warn!("the image is sent again: {error}");
        sleep(delay).await;
    }
}

/// One partition of the answers' topic, from its end on.
struct Answers {
    consumer: BaseConsumer,
    topic: String,
    partition: i32,
    /// The Pipeline whose answers count; any if there is none.
    pipeline: Option<String>,
}

impl Answers {
    /// Waits for the topics.
    fn listen(cluster: &Cluster, pipeline: Option<String>, limit: Duration) -> anyhow::Result<Self> {
        let deadline = Instant::now() + limit;
        // The group is never joined: the partition is assigned by hand, and nothing is committed.
        let mut config = cluster.consumer(SOURCE);
        config.set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().context("cannot set up Kafka's consumer")?;
        let topics = [cluster.images_topic.as_str(), &cluster.inferences_topic];
        let found = kafka::wait_for_topics(consumer.client(), &topics, limit, &CancellationToken::new())?;

        let topic = cluster.inferences_topic.clone();
        let partition = rand::random_range(0..found[&topic]);
        let left = deadline.saturating_duration_since(Instant::now());
        let end = kafka::end(consumer.client(), &topic, partition, left)
            .with_context(|| format!("cannot find the end of {topic}/{partition}"))?;
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(&topic, partition, Offset::Offset(end))?;
        consumer.assign(&assignment)?;
        Ok(Self { consumer, topic, partition, pipeline })
    }

    /// The label of an image, and where its answer is.
    fn wait(&self, subject: &str, mut patience: Patience) -> anyhow::Result<(Label, Place)> {
        while patience.lasts() {
            let record = match self.consumer.poll(POLL) {
                Some(Ok(record)) => record,
                Some(Err(error)) => {
                    tracing::warn!("{error}");
                    continue;
                }
                None => continue,
            };
            match AnswerEvent::from_record(&record) {
                Ok(event) if event.subject == subject && self.is_own(&event) => match event.answer {
                    Answer::Label(label) => {
                        let (topic, partition) = (self.topic.clone(), self.partition);
                        return Ok((label, Place { topic, partition, offset: record.offset() }));
                    }
                    Answer::Failed { error } => bail!("the classifier could not classify a sound image: {error}"),
                },
                Ok(_) => {}
                Err(error) => tracing::warn!("a record on {} is no answer: {error}", self.topic),
            }
        }
        bail!(
            "an image was sent, but no answer came on {}/{}: {}",
            self.topic,
            self.partition,
            patience.why("is the classifier running?")
        )
    }

    fn is_own(&self, event: &AnswerEvent) -> bool {
        self.pipeline.is_none() || self.pipeline == event.pipeline
    }
}

async fn wait_for_document(
    database: &Database,
    collection: &str,
    subject: &str,
    mut patience: Patience,
) -> anyhow::Result<()> {
    let documents = database.collection::<Document>(collection);
    let mut last = format!("no document with the _id {subject}: is the db-consumer running?");
    while patience.lasts() {
        match timeout(LOOK_LIMIT, documents.count_documents(doc! {"_id": subject}).into_future()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = format!("the database does not answer within {LOOK_LIMIT:?}"),
        }
        sleep(LOOK_INTERVAL).await;
    }
    bail!("an image was answered, but not archived in {collection} in time: {}", patience.why(&last))
}
