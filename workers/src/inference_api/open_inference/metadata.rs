//! What the server and the model say of themselves.

use serde::Serialize;
use serde_json::{Value, json};
use tailrace_classifier::{Model, SIDE};

use super::{VERSION, extensions::OFFERED, inputs, outputs::Output};

/// The size of a dimension that each request chooses.
const ANY: i64 = -1;

#[derive(Serialize)]
pub struct Server {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; OFFERED.len()],
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
    Server { name: "tailrace", version: env!("CARGO_PKG_VERSION"), extensions: OFFERED }
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

/// The same as Triton's configuration of a model has it. Its `max_batch_size` is 0: the number of images is the first
/// dimension of every tensor, as the metadata say.
pub fn configuration(model: &Model) -> Value {
    let ModelMetadata { name, inputs, outputs, platform, .. } = self::model(model);
    let tensor = |Tensor { name, datatype, shape }: &Tensor| {
        let datatype = if *datatype == inputs::BYTES { "STRING" } else { datatype };
        json!({"name": name, "data_type": format!("TYPE_{datatype}"), "dims": shape})
    };
    let input = |input: &Tensor| {
        let mut input = tensor(input);
        // A request has one of them.
        input["optional"] = true.into();
        input
    };
    json!({
        "name": name,
        "platform": "",
        "backend": platform,
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": 0,
        "input": inputs.iter().map(input).collect::<Vec<_>>(),
        "output": outputs.iter().map(tensor).collect::<Vec<_>>(),
        "instance_group": [{"name": name, "kind": "KIND_CPU", "count": 1}],
        "default_model_filename": "",
        "parameters": {},
    })
}
