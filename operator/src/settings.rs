//! What the operator is told at its start, as flags or environment variables. The defaults of images are the chart's.

use std::net::SocketAddr;

use clap::{Args, Parser, ValueEnum};

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
    /// Where `/livez` and `/readyz` are served.
    #[arg(long, env = "TAILRACE_HTTP_ADDRESS", default_value = "0.0.0.0:8080")]
    pub http_address: SocketAddr,
    /// The form of the log.
    #[arg(long, env = "TAILRACE_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
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
    /// Where the lease `tailrace-operator` lies.
    #[arg(long = "pod-namespace", env = "POD_NAMESPACE")]
    pub namespace: String,
}

/// The form of the log.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}
