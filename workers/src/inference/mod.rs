//! Classifies the images of a topic and answers them on another, and those that come over HTTP, in one process.
//!
//! The images of Kafka go to the classifying threads' queue; the threads hand the answers to Kafka's producer.

mod record;

use prometheus_client::registry::Registry;

use crate::{
    classifying::{self, Classifying},
    http,
    images::{self, Counted, Identity},
    inference_api,
    kafka::{Consuming, Progress},
    readiness::Reporting,
    service::Service,
};
use record::Records;

/// So many batches of Kafka's wait for each thread: enough to keep them busy, little enough to bound memory.
const BATCHES_IN_QUEUE: usize = 4;

/// The command line of `inference`.
#[derive(clap::Args, Debug)]
#[group(skip)]
pub struct Args {
    /// What is read, and as which group.
    #[command(flatten)]
    pub consuming: Consuming,
    /// What the answers are known by.
    #[command(flatten)]
    pub identity: Identity,
    /// What classifies.
    #[command(flatten)]
    pub classifying: classifying::Args,
    /// What is served over HTTP.
    #[command(flatten)]
    pub http: http::Args,
    /// Where it reports.
    #[command(flatten)]
    pub reporting: Reporting,
}

/// Classifies until asked to stop, then answers what was taken, commits and leaves the group.
///
/// # Errors
/// When the model cannot be loaded, Kafka is not there, or answers cannot be delivered.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut service = Service::new("inference")?;
    let classifying = Classifying::start(&args.classifying, &service.ending)?;
    let counted = Counted::default();
    let mut registry = Registry::default();
    classifying.register(&mut registry);
    let progress = Progress::new(service.readiness.clone());
    progress.register(&mut registry);
    registry.sub_registry_with_prefix("tailrace_inference").register(
        "answers",
        "Answers that Kafka acknowledged",
        counted.answers.clone(),
    );
    counted.letters.register(&mut registry);
    let api = inference_api::routes(&classifying, &args.http, &service.ending, &mut registry);
    service.serve(args.http.address, args.http.limits(), registry, api)?;
    service.report(&args.reporting);
    let records = Records {
        entrance: classifying.entrance(BATCHES_IN_QUEUE * classifying.images_in_hand()),
        model: classifying.model(),
    };
    let classified = images::pump(&args.consuming, args.identity.pipeline_uid, &service, (progress, counted), &records);
    service.finish().and(classified)
}
