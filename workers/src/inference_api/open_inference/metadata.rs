//! What the server and the model say of themselves.

use serde::Serialize;
use tailrace_classifier::{Model, SIDE};

use super::{VERSION, inputs, outputs::Output};

/// The size of a dimension that each request chooses.
const ANY: i64 = -1;

#[derive(Serialize)]
pub struct Server {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 1],
}

#[derive(Serialize)]
pub struct ModelMetadata<'a> {
    name: &'a str,
    versions: [&'static str; 1],
    platform: &'static str,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

#[derive(Serialize)]
struct Tensor {
    name: &'static str,
    datatype: &'static str,
    shape: Vec<i64>,
}

pub fn server() -> Server {
    Server { name: "tailrace", version: env!("CARGO_PKG_VERSION"), extensions: ["binary_tensor_data"] }
}

pub fn model(model: &Model) -> ModelMetadata<'_> {
    let outputs = Output::ALL.map(|output| {
        let mut shape = vec![ANY];
        if output == Output::Probabilities {
            shape.push(model.labels().len() as i64);
        }
        Tensor { name: output.name(), datatype: output.datatype(), shape }
    });
    ModelMetadata {
        name: model.name(),
        versions: [VERSION],
        platform: "candle",
        inputs: vec![
            Tensor { name: inputs::IMAGE, datatype: inputs::UINT8, shape: vec![ANY, SIDE as i64, SIDE as i64, 3] },
            Tensor { name: inputs::FILE, datatype: inputs::BYTES, shape: vec![ANY] },
        ],
        outputs: outputs.into(),
    }
}
