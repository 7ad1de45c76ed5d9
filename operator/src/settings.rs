//! What the operator is told at its start, as flags or environment variables. The defaults of images are the chart's.

use std::net::SocketAddr;

use clap::{Args, Parser, ValueEnum};
use k8s_openapi::api::core::v1::EnvVar;
use tailrace_crds::pod_template::PodTemplate;
use tracing_subscriber::EnvFilter;

use crate::pod_template::inherited_by_all;

/// The settings of the operator.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "tailrace-operator",
    version,
    about = "Reconciles the Pipelines, LoadTests and Experiments of Tailrace."
)]
pub struct Settings {
    /// The images of the pods that the operator makes.
    #[command(flatten)]
    pub images: Images,
    /// The lease of the one operator that works.
    #[command(flatten)]
    pub lease: LeaseSettings,
    /// The only namespace whose resources are reconciled; all namespaces where it is empty.
    #[arg(long, env = "TAILRACE_WATCH_NAMESPACE", default_value = "")]
    pub watch_namespace: String,
    /// Where `/livez` and `/readyz` are served; `[::]` is all addresses, of IPv4 as well.
    #[arg(long, env = "TAILRACE_HTTP_ADDRESS", default_value = "[::]:8080")]
    pub http_address: SocketAddr,
    /// The log of the operator, and of the workers that it starts.
    #[command(flatten)]
    pub log: Log,
    /// What all pods have that the operator makes, as JSON: a podTemplate without resources and service account. What a
    /// Pipeline or LoadTest writes into its own podTemplates goes before it.
    #[arg(long, env = "TAILRACE_PODS", default_value = "{}", value_parser = inherited_by_all)]
    pub pods: PodTemplate,
}

/// The images of the pods that the operator makes.
#[derive(Args, Clone, Debug)]
pub struct Images {
    /// `tailrace-worker`: classifier, db-consumer, producers, topics and check.
    #[arg(long = "worker-image", env = "TAILRACE_WORKER_IMAGE")]
    pub worker: String,
    /// Apache Kafka, laid out as the official image.
    #[arg(long = "kafka-image", env = "TAILRACE_KAFKA_IMAGE")]
    pub kafka: String,
    /// MongoDB, laid out as the official image.
    #[arg(long = "mongodb-image", env = "TAILRACE_MONGODB_IMAGE")]
    pub mongodb: String,
    /// FerretDB 1.24 with the SQLite backend.
    #[arg(long = "ferretdb-image", env = "TAILRACE_FERRETDB_IMAGE")]
    pub ferretdb: String,
    /// `Always`, `IfNotPresent` or `Never`, for all of them.
    #[arg(long = "image-pull-policy", env = "TAILRACE_IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    pub pull_policy: String,
}

/// The lease of the one operator that works.
#[derive(Args, Clone, Debug)]
pub struct LeaseSettings {
    /// Who this operator is among its replicas; a container that restarts in the same pod gets its lease back at once.
    #[arg(long = "pod-name", env = "POD_NAME")]
    pub identity: String,
    /// Where the lease lies.
    #[arg(long = "pod-namespace", env = "POD_NAMESPACE")]
    pub namespace: String,
    /// The name of the lease. Operators that share it are replicas of each other, of which one works.
    #[arg(long = "lease-name", env = "TAILRACE_LEASE_NAME", default_value = "tailrace-operator")]
    pub name: String,
}

/// The log of the operator, and of the workers that it starts.
#[derive(Args, Clone, Debug)]
pub struct Log {
    /// The form of the log.
    #[arg(long = "log-format", env = "TAILRACE_LOG_FORMAT", default_value = "text")]
    pub format: LogFormat,
    /// error, warn, info, debug or trace, or a filter such as `info,tailrace_operator=debug`.
    #[arg(long = "log-level", env = "RUST_LOG", default_value = "info", value_parser = filter)]
    pub level: String,
}

fn filter(text: &str) -> Result<String, String> {
    let refused =
        |_| "write error, warn, info, debug or trace, or a filter such as info,tailrace_operator=debug".to_owned();
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(refused)
}

impl Log {
    /// How a worker is told.
    pub fn variables(&self) -> [EnvVar; 2] {
        let format = match self.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        [("RUST_LOG", self.level.as_str()), ("TAILRACE_LOG_FORMAT", format)].map(|(name, value)| EnvVar {
            name: name.into(),
            value: Some(value.into()),
            value_from: None,
        })
    }
}

/// The form of the log.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}
