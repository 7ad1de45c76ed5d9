//! `POST /v2/models/NAME/infer`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    KnownModel, VERSION, inputs,
    outputs::{self, ResponseOutput},
    request,
};
use crate::{
    http::{Refusal, json},
    inference_api::{Api, images::Classified},
};

/// How many bytes of the body are JSON, where binary tensors follow.
const JSON_BYTES: HeaderName = HeaderName::from_static("inference-header-content-length");

#[derive(Serialize)]
struct Answer<'a> {
    model_name: &'a str,
    model_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    parameters: Times,
    outputs: Vec<ResponseOutput>,
}

/// Of the image of the batch that had the longest.
#[derive(Serialize)]
struct Times {
    queue_micros: u64,
    compute_micros: u64,
}

pub async fn infer(State(api): State<Arc<Api>>, _: KnownModel, request: Request) -> Result<Response, Refusal> {
    api.ready()?;
    let (head, body) = request.into_parts();
    let json_bytes = json_bytes(&head.headers)?;
    let body = api.bodies.receive(&head.headers, body).await?;
    let (request, elements) = request::read(&body, json_bytes)?;
    let wanted = outputs::wanted(&request)?;
    let images = inputs::images(&request.inputs.0, elements, api.most_images())?;
    let classified = api.classify(images).await?;

    let outputs = wanted.into_iter().map(|wanted| outputs::output(wanted, &api.model, &classified));
    let (outputs, binary): (Vec<_>, Vec<Vec<u8>>) = outputs.unzip();
    let (model_name, parameters) = (api.model.name(), Times::of(&classified));
    Ok(answer(&Answer { model_name, model_version: VERSION, id: request.id, parameters, outputs }, &binary.concat()))
}

impl Times {
    fn of(images: &[Classified]) -> Self {
        let longest = |micros: fn(&Classified) -> u64| images.iter().map(micros).max().unwrap_or_default();
        Self {
            queue_micros: longest(|image| image.timing.queue_micros()),
            compute_micros: longest(|image| image.timing.compute_micros()),
        }
    }
}

fn json_bytes(headers: &HeaderMap) -> Result<Option<usize>, Refusal> {
    let Some(value) = headers.get(JSON_BYTES) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    let refuse = || Refusal::bad_request("Inference-Header-Content-Length must be the number of bytes of the JSON");
    length.map(Some).ok_or_else(refuse)
}

fn answer(answer: &Answer<'_>, binary: &[u8]) -> Response {
    if binary.is_empty() {
        return json(answer);
    }
    match serde_json::to_vec(answer) {
        Ok(mut body) => {
            let json_bytes = HeaderValue::from(body.len());
            body.extend(binary);
            let content_type = HeaderValue::from_static("application/octet-stream");
            ([(CONTENT_TYPE, content_type), (JSON_BYTES, json_bytes)], body).into_response()
        }
        Err(error) => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
