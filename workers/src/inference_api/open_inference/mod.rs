//! The Open Inference Protocol (KServe V2) with the binary tensor extension, so that a stock client of KServe or Triton
//! works unchanged.
//!
//! A request brings one of two inputs, for a batch of n images: `image`, UINT8 \[n, 32, 32, 3\], the pixels row by row,
//! each as red, green, blue; or `file`, BYTES \[n\], PNG or JPEG files. JSON cannot carry bytes, so there a file is in
//! base64 (RFC 4648); in a binary tensor it is as it is. The outputs are `probabilities`, FP32 \[n, classes\]; `index`,
//! INT64 \[n\], the likeliest class; and `label`, BYTES \[n\], its name.
//!
//! Sources: <https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md> and
//! <https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md>.

mod absent;
mod bounded;
mod data;
mod extensions;
mod infer;
mod inputs;
mod metadata;
mod outputs;
mod request;

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequestParts, Path, State},
    http::request::Parts,
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;

use super::Api;
use crate::http::{self, Refusal};

/// The only version of the model: another model is another file, and another server.
const VERSION: &str = "1";

/// What a path says of the model.
#[derive(Deserialize)]
struct ModelPath {
    model: String,
    version: Option<String>,
}

/// All of `/v2`.
pub fn routes() -> Router<Arc<Api>> {
    let model = Router::new()
        .route("/", get(model_metadata))
        .route("/ready", get(model_ready))
        .route("/infer", post(infer::infer))
        .merge(extensions::of_model());
    Router::new()
        .route("/v2", get(server_metadata))
        .route("/v2/", get(server_metadata))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .merge(extensions::routes())
        .nest("/v2/models/{model}", model.clone())
        .nest("/v2/models/{model}/versions/{version}", model)
}

/// The path names the model that this server has.
struct KnownModel;

impl FromRequestParts<Arc<Api>> for KnownModel {
    type Rejection = Refusal;

    /// 404 when it is another one.
    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Refusal> {
        let path = Path::<ModelPath>::from_request_parts(parts, api).await;
        let Path(path) = path.map_err(|error| Refusal::bad_request(error.body_text()))?;
        let (name, shown) = (api.model.name(), path.model.chars().take(100).collect::<String>());
        if path.model != name {
            return Err(Refusal::not_found(format!("there is no model {shown:?}: this server has {name:?}")));
        }
        if path.version.is_some_and(|version| version != VERSION) {
            return Err(Refusal::not_found(format!("the model {name:?} has only the version {VERSION:?}")));
        }
        Ok(Self)
    }
}

async fn live() -> Response {
    http::json(&json!({"live": true}))
}

async fn ready(State(api): State<Arc<Api>>) -> Result<Response, Refusal> {
    api.ready()?;
    Ok(http::json(&json!({"ready": true})))
}

async fn server_metadata() -> Response {
    http::json(&metadata::server())
}

async fn model_metadata(State(api): State<Arc<Api>>, _: KnownModel) -> Response {
    http::json(&metadata::model(&api.model))
}

async fn model_ready(State(api): State<Arc<Api>>, _: KnownModel) -> Result<Response, Refusal> {
    api.ready()?;
    Ok(http::json(&json!({"name": api.model.name(), "ready": true})))
}
