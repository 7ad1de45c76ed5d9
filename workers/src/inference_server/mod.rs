//! Classifies the images that come over HTTP, without Kafka.

use prometheus_client::registry::Registry;

use crate::{
    classifying::{self, Classifying},
    http, inference_api,
    readiness::Part,
    service::Service,
};

/// The command line of `inference-server`.
#[derive(clap::Args, Debug)]
#[group(skip)]
pub struct Args {
    /// What classifies.
    #[command(flatten)]
    pub classifying: classifying::Args,
    /// What is served over HTTP.
    #[command(flatten)]
    pub http: http::Args,
}

/// Serves until asked to stop, then answers what came before.
///
/// # Errors
/// When the model cannot be loaded, the address cannot be bound, or a classifying thread fails.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut service = Service::new("inference-server")?;
    let classifying = Classifying::start(&args.classifying, &service.ending)?;
    let mut registry = Registry::default();
    classifying.register(&mut registry);
    let api = inference_api::routes(&classifying, &args.http, &service.ending, &mut registry);
    service.serve(args.http.address, args.http.limits(), registry, api)?;
    service.readiness.fine(Part::Start);
    service.runtime.block_on(service.ending.stop.cancelled());
    service.finish()
}
