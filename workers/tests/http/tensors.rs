//! What a client of the Open Inference Protocol builds and reads.

use serde_json::{Value, json};

use crate::support::{Worker, http::Response, raw_pixels, sample};

pub const INFER: &str = "POST /v2/models/resnet20/infer";

/// The pixels of images of the sample, one after the other.
pub fn pixels(numbers: &[usize]) -> Vec<u8> {
    numbers.iter().flat_map(|number| raw_pixels(&sample(*number))).collect()
}

pub fn infer(server: &Worker, request: &Value) -> Response {
    server.ask(INFER, &["Content-Type: application/json"], &serde_json::to_vec(request).unwrap())
}

/// A request with binary tensors behind its JSON.
pub fn infer_binary(server: &Worker, request: &Value, tensors: &[u8]) -> Response {
    let json = serde_json::to_vec(request).unwrap();
    let header = format!("Inference-Header-Content-Length: {}", json.len());
    server.ask(INFER, &[&header, "Content-Type: application/octet-stream"], &[&json, tensors].concat())
}

/// The input `image` without its data.
pub fn image_tensor(count: usize) -> Value {
    json!({"name": "image", "datatype": "UINT8", "shape": [count, 32, 32, 3]})
}

/// The parts of BYTES: each after its length.
pub fn bytes_tensor(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&(part.len() as u32).to_le_bytes()[..], part].concat()).collect()
}

/// The JSON of an answer and the binary tensors behind it.
pub fn parted(response: &Response) -> (Value, &[u8]) {
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    let length = response.header("inference-header-content-length").expect("binary tensors").parse().unwrap();
    let (json, tensors) = response.body.split_at(length);
    (serde_json::from_slice(json).unwrap(), tensors)
}

/// The data of an output in JSON.
#[track_caller]
pub fn output(answer: &Value, name: &str) -> Value {
    let outputs = answer["outputs"].as_array().unwrap_or_else(|| panic!("{answer}"));
    outputs.iter().find(|output| output["name"] == name).unwrap_or_else(|| panic!("{answer}"))["data"].clone()
}
