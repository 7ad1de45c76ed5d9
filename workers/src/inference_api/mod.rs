//! Images over HTTP: `POST /predict` for a client without a library, and the Open Inference Protocol (KServe V2) under
//! `/v2` for those that have one.
//!
//! | path | answers |
//! |---|---|
//! | `POST /predict` | one image: its label, the five likeliest classes, queue and compute time |
//! | `GET /v2`, `/v2/health/live`, `/v2/health/ready` | the server |
//! | `GET /v2/models/NAME[/versions/1]`, `.../ready` | the model, named by its file's stem |
//! | `POST /v2/models/NAME[/versions/1]/infer` | a batch of images, in JSON or with the binary tensor extension |
//! | `GET /v2/models/NAME[/versions/1]/config`, `.../stats`, `POST /v2/repository/index` | what Triton's clients ask beside |
//!
//! Every error is `{"error": "one sentence"}`.

mod images;
mod open_inference;
mod predict;

use std::sync::Arc;

use axum::{
    Router,
    http::{Method, StatusCode, Uri},
    middleware::from_fn_with_state,
    routing::post,
};
use prometheus_client::registry::Registry;
use tailrace_classifier::Model;
use tokio_util::sync::CancellationToken;

use crate::{
    classifying::{Classifying, Entrance, Job, RunningTotals},
    ending::Ending,
    http::{self, Bodies, Metrics, Refusal},
};

/// The most images of one request.
const MAX_IMAGES: usize = 256;

/// What answers a request.
pub struct Api {
    model: Arc<Model>,
    entrance: Entrance<Box<dyn Job>>,
    bodies: Bodies,
    totals: RunningTotals,
    stop: CancellationToken,
}

impl Api {
    /// # Errors
    /// 503 when the process was asked to stop.
    fn ready(&self) -> Result<(), Refusal> {
        if self.stop.is_cancelled() {
            return Err(Refusal::unavailable("this server is shutting down: ask another"));
        }
        Ok(())
    }

    /// The most images that a request may bring.
    fn most_images(&self) -> usize {
        MAX_IMAGES.min(self.entrance.capacity())
    }
}

/// All of it, counted in `registry`.
pub fn routes(classifying: &Classifying, args: &http::Args, ending: &Ending, registry: &mut Registry) -> Router {
    let metrics = Metrics::default();
    metrics.register(registry);
    let api = Arc::new(Api {
        model: classifying.model(),
        entrance: classifying.entrance(args.max_queue as usize),
        bodies: Bodies::new(args.max_body_bytes, args.receive_timeout.get()),
        totals: classifying.totals(),
        stop: ending.stop.clone(),
    });
    Router::new()
        .route("/predict", post(predict::predict))
        .merge(open_inference::routes())
        .with_state(api)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(metrics, http::count))
}

async fn no_such_path(uri: Uri) -> Refusal {
    let path: String = uri.path().chars().take(100).collect();
    Refusal::not_found(format!("there is no {path}: images go to POST /predict or POST /v2/models/NAME/infer"))
}

async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    let (method, path) = (&method.as_str().chars().take(20).collect::<String>(), uri.path());
    let error = format!("{path} does not take {method}: the Allow header says what it takes");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error)
}
