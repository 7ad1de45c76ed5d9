//! What the server counts.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// What was asked for.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
enum Endpoint {
    /// `POST /predict`.
    Predict,
    /// `POST /v2/models/.../infer`.
    Infer,
    /// Metadata, health, and what does not exist.
    Other,
}

impl Endpoint {
    fn of(path: &str) -> Self {
        match path {
            "/predict" => Self::Predict,
            path if path.ends_with("/infer") => Self::Infer,
            _ => Self::Other,
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    endpoint: Endpoint,
    code: u16,
}

/// Counters; clones count together.
#[derive(Clone, Default)]
pub struct Metrics {
    requests: Family<Labels, Counter>,
}

impl Metrics {
    /// All of them under their names.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("tailrace_http");
        registry.register("requests", "Requests that were answered, by status", self.requests.clone());
    }
}

/// Counts a request once it has its answer.
pub async fn count(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let endpoint = Endpoint::of(request.uri().path());
    let response = next.run(request).await;
    let code = response.status().as_u16();
    metrics.requests.get_or_create(&Labels { endpoint, code }).inc();
    response
}
