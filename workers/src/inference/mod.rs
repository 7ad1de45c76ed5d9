//! Classifies the images of a topic and answers them on another, and those that come over HTTP, in one process.
//!
//! One thread polls Kafka and fills the classifying threads' queue; they hand the answers to Kafka's producer. An offset
//! is committed when its answer, and that of every image before it, was acknowledged: an image is answered at least once,
//! whatever is killed.

mod answers;
mod consumer;
mod in_flight;
mod record;

use std::{sync::Arc, time::Duration};

use prometheus_client::{metrics::counter::Counter, registry::Registry};

use crate::{
    classifying::{self, Classifying},
    ending::Ending,
    http, inference_api,
    kafka::{self, Cluster},
    service::Service,
};
use answers::Answers;
use consumer::{Images, Pump};
use in_flight::InFlight;

/// How long to wait for Kafka and the topics at the start before the process gives up and is started again.
const START_LIMIT: Duration = Duration::from_secs(600);
/// So many batches of Kafka's wait for each thread: enough to keep them busy, little enough to bound memory.
const BATCHES_IN_QUEUE: usize = 4;

/// The command line of `inference`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where Kafka is.
    #[command(flatten)]
    pub cluster: Cluster,
    /// What classifies.
    #[command(flatten)]
    pub classifying: classifying::Args,
    /// The consumer group: its members share the images.
    #[arg(long, env = "TAILRACE_GROUP")]
    pub group: String,
    /// What is served over HTTP.
    #[command(flatten)]
    pub http: http::Args,
}

/// Classifies until asked to stop, then answers what was taken, commits and leaves the group.
///
/// # Errors
/// When the model cannot be loaded, Kafka is not there, or answers cannot be delivered.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut service = Service::new()?;
    let classifying = Classifying::start(&args.classifying, &service.ending)?;
    let answered = Counter::default();
    let mut registry = Registry::default();
    classifying.register(&mut registry);
    registry.sub_registry_with_prefix("tailrace_inference").register(
        "answers",
        "Answers that Kafka acknowledged",
        answered.clone(),
    );
    let api = inference_api::routes(&classifying, &args.http, &service.ending, &mut registry);
    service.serve(args.http.address, args.http.limits(), registry, api)?;
    let classified = classify_records(&args, &service, &classifying, answered);
    service.finish().and(classified)
}

/// Classifies what Kafka has until asked to stop.
fn classify_records(
    args: &Args,
    service: &Service,
    classifying: &Classifying,
    answered: Counter,
) -> anyhow::Result<()> {
    let in_flight = Arc::new(InFlight::default());
    let answers = Answers::new(&args.cluster, &args.group, in_flight.clone(), service.ending.clone(), answered)?;
    if !wait_for_topics(&args.cluster, &answers, &service.ending)? {
        return Ok(());
    }
    let pump = Pump {
        entrance: classifying.entrance(BATCHES_IN_QUEUE * classifying.images_in_hand()),
        answers: Arc::new(answers),
        model: classifying.model(),
    };
    let images = Images::subscribe(&args.cluster, &args.group, in_flight, service.readiness.clone())?;
    // Dropped at the end, it leaves the group, which hands over what was taken: answered and committed.
    images.pump(&pump, &service.ending.stop)
}

/// False when asked to stop meanwhile.
fn wait_for_topics(cluster: &Cluster, answers: &Answers, ending: &Ending) -> anyhow::Result<bool> {
    match kafka::wait_for_topics(answers.client(), &cluster.topics(), START_LIMIT, &ending.stop) {
        Ok(topics) => {
            answers.know(&topics);
            Ok(true)
        }
        Err(kafka::WaitError::Stopped) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
