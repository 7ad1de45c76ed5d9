//! What Triton's clients ask beside the inference: the extensions of the protocol.
//!
//! Sources: <https://github.com/triton-inference-server/server/tree/main/docs/protocol>, `extension_*.md`.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
    routing::{any, get, post},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{Api, KnownModel, VERSION, absent, metadata};
use crate::{
    classifying::Totals,
    http::{self, Refusal},
};

/// Those that are offered in full, as the server's metadata list them.
pub const OFFERED: [&str; 4] = ["binary_tensor_data", "classification", "model_configuration", "statistics"];

/// Of the server.
pub fn routes() -> Router<Arc<Api>> {
    let shared_memory =
        ["/v2/systemsharedmemory", "/v2/cudasharedmemory"].into_iter().fold(Router::new(), |all, path| {
            all.route(&format!("{path}/status"), get(no_regions))
                .route(&format!("{path}/region/{{region}}/status"), get(no_regions))
                .route(&format!("{path}/unregister"), post(nothing_left))
                .route(&format!("{path}/region/{{region}}/unregister"), post(nothing_left))
                .route(&format!("{path}/region/{{region}}/register"), post(no_shared_memory))
        });
    Router::new()
        .route("/v2/models/stats", get(statistics))
        .route("/v2/repository/index", post(index))
        .route("/v2/repository/models/{model}/load", post(one_model))
        .route("/v2/repository/models/{model}/unload", post(one_model))
        .route("/v2/trace/setting", any(no_settings))
        .route("/v2/logging", any(no_settings))
        .merge(shared_memory)
}

/// Of the model.
pub fn of_model() -> Router<Arc<Api>> {
    Router::new()
        .route("/config", get(configuration))
        .route("/stats", get(statistics_of_model))
        .route("/trace/setting", any(no_settings))
        .route("/generate", post(no_text))
        .route("/generate_stream", post(no_text))
}

async fn configuration(State(api): State<Arc<Api>>, _: KnownModel) -> Response {
    http::json(&metadata::configuration(&api.model))
}

async fn statistics_of_model(State(api): State<Arc<Api>>, _: KnownModel) -> Response {
    all_statistics(&api)
}

async fn statistics(State(api): State<Arc<Api>>) -> Response {
    all_statistics(&api)
}

/// An image counts as a request, whether it came over HTTP or from Kafka. The times of an image are those of its
/// answer: what it waited, and what its batch took to be decoded and classified.
fn all_statistics(api: &Api) -> Response {
    let Totals { images, failed, batches, queue_nanos, compute_nanos, last_millis } = api.totals.now();
    let share = |count: u64, nanos: u64| json!({"count": count, "ns": nanos});
    http::json(&json!({"model_stats": [{
        "name": api.model.name(),
        "version": VERSION,
        "last_inference": last_millis,
        "inference_count": images,
        "execution_count": batches,
        "inference_stats": {
            "success": share(images, queue_nanos + compute_nanos),
            "fail": share(failed, 0),
            "queue": share(images, queue_nanos),
            "compute_input": share(images, 0),
            "compute_infer": share(images, compute_nanos),
            "compute_output": share(images, 0),
            "cache_hit": share(0, 0),
            "cache_miss": share(0, 0),
        },
        "response_stats": {},
        "batch_stats": [],
        "memory_usage": [],
    }]}))
}

/// What an index is asked for.
#[derive(Default, Deserialize)]
struct Wanted {
    /// Whether models that are not ready are left out.
    #[serde(default, deserialize_with = "absent::if_null")]
    ready: bool,
}

/// An index without a body, as some clients ask for it, lists all.
async fn index(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let body: Bytes = api.bodies.receive(&head.headers, body).await?;
    let wanted: Option<Wanted> = match body.trim_ascii().is_empty() {
        true => None,
        false => serde_json::from_slice(&body)
            .map_err(|error| Refusal::bad_request(format!("the JSON asks for no index: {error}")))?,
    };
    let (state, reason) = match api.ready() {
        Ok(()) => ("READY", String::new()),
        Err(refusal) => ("UNAVAILABLE", refusal.error),
    };
    let left_out = wanted.unwrap_or_default().ready && state != "READY";
    let model = json!({"name": api.model.name(), "version": VERSION, "state": state, "reason": reason});
    Ok(http::json(&if left_out { json!([]) } else { json!([model]) }))
}

async fn no_regions() -> Response {
    http::json(&json!([]))
}

/// Clients unregister everything when they begin, though they never registered anything.
async fn nothing_left() -> Response {
    http::json(&json!({}))
}

async fn no_shared_memory() -> Refusal {
    not_offered("shared memory is not offered: send the tensors in the body")
}

async fn one_model() -> Refusal {
    not_offered("a server has its one model for as long as it runs: start another one with another --model")
}

async fn no_settings() -> Refusal {
    not_offered("traces and logs are not set over HTTP: RUST_LOG says what is logged, and /metrics has the times")
}

async fn no_text() -> Refusal {
    not_offered("this model takes images and makes no text: ask POST /v2/models/NAME/infer")
}

fn not_offered(error: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_IMPLEMENTED, error)
}
