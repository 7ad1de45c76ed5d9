//! The bridge of the split topology: takes the images of a topic, asks an inference server over HTTP what is on each,
//! and answers them on another topic.
//!
//! The same answers and the same promises as those of `inference`. Images with the same key are sent and answered one
//! after the other, others side by side. What the server does not answer is sent again, for as long as it takes: see
//! [`trouble`]. While the server is away, [`breaker`] lets no image through to it.

mod attempts;
mod breaker;
mod bridge;
mod lines;
mod log;
mod metrics;
mod reply;
mod server;
mod server_url;
mod trouble;

use std::{sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use tailrace_crds::duration::Duration as UserDuration;

use crate::{
    dead_letter,
    http::HealthArgs,
    images::{self, Counted, Identity},
    kafka::{Consuming, Progress},
    readiness::Reporting,
    service::Service,
};
use breaker::Breaker;
use bridge::Bridge;
use metrics::Metrics;
use server::Server;
pub use server_url::ServerUrl;

/// How long the server may answer no image before the process gives up and is started again: nothing that it took is
/// lost, since nothing was committed.
const PATIENCE: Duration = Duration::from_secs(600);

/// The command line of `inference-consumer`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What is read, and as which group.
    #[command(flatten)]
    pub consuming: Consuming,
    /// What the answers are known by.
    #[command(flatten)]
    pub identity: Identity,
    /// Where the inference server is, such as http://cifar-inference-server.demo.svc:8080.
    #[arg(long, env = "TAILRACE_SERVER_URL", value_name = "URL")]
    pub server_url: ServerUrl,
    /// How many images are at the server at once.
    #[arg(long, env = "TAILRACE_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
    /// How long a request may take, such as 5s, before it is made again.
    #[arg(long, env = "TAILRACE_REQUEST_TIMEOUT", default_value = "5s", value_parser = request_timeout)]
    pub request_timeout: UserDuration,
    /// Where its health is shown.
    #[command(flatten)]
    pub health: HealthArgs,
    /// Where it reports.
    #[command(flatten)]
    pub reporting: Reporting,
}

/// Carries images until asked to stop, then answers what was taken, commits and leaves the group.
///
/// # Errors
/// When Kafka is not there, answers cannot be delivered, or the server answers no image for ten minutes.
pub fn run(args: Args) -> anyhow::Result<()> {
    let metrics = Metrics::default();
    let mut service = Service::new("inference-consumer")?;
    let progress = Progress::new(service.readiness.clone());
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    progress.register(&mut registry);
    let letters = dead_letter::Metrics::default();
    letters.register(&mut registry);
    service.serve_health(&args.health, registry)?;
    service.report(&args.reporting);
    let bridge = bridge(&args, &service, &metrics);
    let counted = Counted { answers: metrics.answers, letters };
    let uid = args.identity.pipeline_uid;
    let carried = images::pump(&args.consuming, uid, &service, (progress, counted), &bridge);
    service.finish().and(carried)
}

fn bridge(args: &Args, service: &Service, metrics: &Metrics) -> Bridge {
    let (runtime, ending) = (service.runtime.handle(), &service.ending);
    let server = Server::new(args.server_url.clone(), args.request_timeout.get(), args.concurrency.into());
    let server = Arc::new(server);
    let breaker = Arc::new(Breaker::new(PATIENCE, metrics.breaker_open.clone()));
    let (watching, asked, failing) = (breaker.clone(), server.clone(), ending.clone());
    runtime.spawn(async move { failing.fail(watching.watch(|| asked.ready()).await) });
    Bridge::new(server, breaker, args.concurrency, metrics.clone(), ending.clone(), runtime.clone())
}

fn request_timeout(text: &str) -> Result<UserDuration, String> {
    let duration: UserDuration = text.parse().map_err(|error| format!("{error}"))?;
    let bounds = Duration::from_millis(10)..=Duration::from_secs(300);
    if !bounds.contains(&duration.get()) {
        return Err("a request takes from 10ms to 5m: write a duration within that, such as 5s".to_owned());
    }
    Ok(duration)
}
