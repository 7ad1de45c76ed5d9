//! Classifies the images of a topic and answers them on another, in one process.
//!
//! One thread polls Kafka and fills a bounded queue; a thread for each core takes what waits there, decodes, classifies
//! and hands the answers to Kafka's producer. An offset is committed when its answer, and that of every image before it,
//! was acknowledged: an image is answered at least once, whatever is killed.

mod answers;
mod consumer;
mod in_flight;
mod metrics;
mod queue;
mod worker;

use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use crate::{
    kafka::{self, Cluster},
    model::ModelArgs,
    sentence::sentence,
    service::Service,
};
use answers::Answers;
use consumer::Images;
use in_flight::InFlight;
use metrics::Metrics;
use queue::Queue;
use worker::Worker;

/// How long to wait for Kafka and the topics at the start before the process gives up and is started again.
const START_LIMIT: Duration = Duration::from_secs(600);
/// The queue holds so many batches for each thread: enough to keep them busy, little enough to bound memory.
const BATCHES_IN_QUEUE: usize = 4;

/// The command line of `inference`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where Kafka is.
    #[command(flatten)]
    pub cluster: Cluster,
    /// The network.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The most images that one thread takes together. One image alone never waits for others.
    #[arg(long, env = "TAILRACE_MAX_BATCH", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub max_batch: u16,
    /// The consumer group: its members share the images.
    #[arg(long, env = "TAILRACE_GROUP")]
    pub group: String,
    /// Where /livez, /readyz and /metrics are.
    #[arg(long, env = "TAILRACE_HTTP_ADDRESS", default_value = "0.0.0.0:8080")]
    pub http_address: SocketAddr,
}

/// Classifies until asked to stop, then answers what was taken, commits and leaves the group.
///
/// # Errors
/// When the model cannot be loaded, Kafka is not there, or answers cannot be delivered.
pub fn run(args: Args) -> anyhow::Result<()> {
    let metrics = Metrics::default();
    // The runtime lives as long as this function.
    let Service { runtime: _runtime, readiness, stop } = Service::start(args.http_address, metrics.registry())?;
    let classifier = Arc::new(args.model.load()?);
    tracing::info!("model {} ({})", classifier.model().name(), classifier.model().sha256());

    let ending = Arc::new(Ending { stop, failure: OnceLock::new() });
    let in_flight = Arc::new(InFlight::default());
    let Some(answers) = connect(&args, &in_flight, &ending, &metrics)? else { return Ok(()) };
    let threads = thread::available_parallelism()?.get();
    let queue = Arc::new(Queue::new(threads * usize::from(args.max_batch) * BATCHES_IN_QUEUE, threads));
    let worker = Worker { classifier, queue: queue.clone(), answers, metrics, most: args.max_batch.into() };
    start(threads, &worker, &ending)?;

    let images = Images::subscribe(&args.cluster, &args.group, in_flight, readiness)?;
    images.pump(&queue, &ending.stop)?;
    // Leaving the group hands over what was taken: answered and committed.
    drop(images);
    match ending.failure.get() {
        Some(reason) => bail!("{reason}"),
        None => Ok(()),
    }
}

/// Waits for the topics; none when asked to stop meanwhile.
fn connect(
    args: &Args,
    in_flight: &Arc<InFlight>,
    ending: &Arc<Ending>,
    metrics: &Metrics,
) -> anyhow::Result<Option<Arc<Answers>>> {
    let answers = Answers::new(&args.cluster, &args.group, in_flight.clone(), ending.clone(), metrics.clone())?;
    match kafka::wait_for_topics(answers.client(), &args.cluster.topics(), START_LIMIT, &ending.stop) {
        Ok(topics) => {
            answers.know(&topics);
            Ok(Some(Arc::new(answers)))
        }
        Err(kafka::WaitError::Stopped) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// However a thread ends, the process must not go on without it.
fn start(threads: usize, worker: &Worker, ending: &Arc<Ending>) -> std::io::Result<()> {
    tracing::info!("classifying on {threads} threads");
    for number in 0..threads {
        let (worker, ending) = (worker.clone(), ending.clone());
        thread::Builder::new().name(format!("classifier-{number}")).spawn(move || {
            match catch_unwind(AssertUnwindSafe(|| worker.run())) {
                Ok(Err(error)) => ending.fail(sentence(&error)),
                Err(_) => ending.fail("a classifying thread panicked".to_owned()),
            }
        })?;
    }
    Ok(())
}

/// Why and when the process ends.
pub struct Ending {
    stop: CancellationToken,
    failure: OnceLock<String>,
}

impl Ending {
    /// The process stops, with this reason if it is the first.
    pub fn fail(&self, reason: String) {
        tracing::error!("{reason}");
        // A second failure follows from the first.
        let _ = self.failure.set(reason);
        self.stop.cancel();
    }
}
