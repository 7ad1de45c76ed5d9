//! From answers to output tensors.

use serde::Serialize;
use tailrace_classifier::Model;

use super::{
    inputs::BYTES,
    request::{Request, RequestedOutput},
};
use crate::{http::Refusal, inference_api::images::Classified};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Probabilities,
    Index,
    Label,
}

impl Output {
    pub const ALL: [Self; 3] = [Self::Probabilities, Self::Index, Self::Label];

    pub fn name(self) -> &'static str {
        match self {
            Self::Probabilities => "probabilities",
            Self::Index => "index",
            Self::Label => "label",
        }
    }

    pub fn datatype(self) -> &'static str {
        match self {
            Self::Probabilities => "FP32",
            Self::Index => "INT64",
            Self::Label => BYTES,
        }
    }

    fn tensor(self, model: &Model, images: &[Classified]) -> Tensor {
        let best = |image: &Classified| image.probabilities.best_first().first().map_or(0, |(index, _)| *index);
        match self {
            Self::Probabilities => {
                Tensor::Floats(images.iter().flat_map(|image| image.probabilities.as_slice().iter().copied()).collect())
            }
            Self::Index => Tensor::Integers(images.iter().map(|image| best(image) as i64).collect()),
            Self::Label => {
                let label = |image| model.labels().get(best(image)).map(ToString::to_string).unwrap_or_default();
                Tensor::Strings(images.iter().map(label).collect())
            }
        }
    }
}

/// An output that is asked for, and whether in binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub output: Output,
    pub binary: bool,
}

/// The outputs of a request, in its order; all where it names none.
///
/// # Errors
/// 400 when it names one that there is not, or asks for an extension that is not offered.
pub fn wanted(request: &Request) -> Result<Vec<Wanted>, Refusal> {
    let by_default = request.parameters.binary_data_output;
    if request.outputs.0.is_empty() {
        return Ok(Output::ALL.map(|output| Wanted { output, binary: by_default }).into());
    }
    let wanted = |asked: &RequestedOutput| {
        let output = Output::ALL.into_iter().find(|output| output.name() == asked.name).ok_or_else(|| {
            let shown: String = asked.name.chars().take(100).collect();
            let names = Output::ALL.map(Output::name).join(", ");
            Refusal::bad_request(format!("there is no output {shown:?}: ask for {names}"))
        })?;
        if asked.parameters.classification.is_some() || asked.parameters.shared_memory_region.is_some() {
            let error = "the extensions for classification and shared memory are not offered: ask for the tensor";
            return Err(Refusal::bad_request(format!("output {:?}: {error}", output.name())));
        }
        Ok(Wanted { output, binary: asked.parameters.binary_data.unwrap_or(by_default) })
    };
    request.outputs.0.iter().map(wanted).collect()
}

/// The data of an output.
#[derive(Serialize)]
#[serde(untagged)]
enum Tensor {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
    Strings(Vec<String>),
}

impl Tensor {
    /// Little-endian, one after the other; a string after its length in four bytes.
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Floats(floats) => floats.iter().flat_map(|float| float.to_le_bytes()).collect(),
            Self::Integers(integers) => integers.iter().flat_map(|integer| integer.to_le_bytes()).collect(),
            Self::Strings(strings) => strings.iter().fold(Vec::new(), |mut bytes, text| {
                bytes.extend((text.len() as u32).to_le_bytes());
                bytes.extend(text.as_bytes());
                bytes
            }),
        }
    }
}

/// An output as the JSON of the answer has it.
#[derive(Serialize)]
pub struct ResponseOutput {
    name: &'static str,
    datatype: &'static str,
    shape: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BinaryData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Tensor>,
}

#[derive(Serialize)]
struct BinaryData {
    binary_data_size: usize,
}

/// The output, and the bytes that go behind the JSON.
pub fn output(wanted: Wanted, model: &Model, images: &[Classified]) -> (ResponseOutput, Vec<u8>) {
    let tensor = wanted.output.tensor(model, images);
    let mut shape = vec![images.len()];
    if let Tensor::Floats(floats) = &tensor {
        shape.push(floats.len() / images.len().max(1));
    }
    let (name, datatype) = (wanted.output.name(), wanted.output.datatype());
    if !wanted.binary {
        return (ResponseOutput { name, datatype, shape, parameters: None, data: Some(tensor) }, Vec::new());
    }
    let bytes = tensor.to_bytes();
    let parameters = Some(BinaryData { binary_data_size: bytes.len() });
    (ResponseOutput { name, datatype, shape, parameters, data: None }, bytes)
}
