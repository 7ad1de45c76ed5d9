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

    /// The likeliest classes of each image, as `confidence:index:label`, the likeliest first.
    fn classes(most: usize, model: &Model, images: &[Classified]) -> Tensor {
        let class = |(index, confidence): (usize, f32)| {
            let label = model.labels().get(index).map(ToString::to_string).unwrap_or_default();
            format!("{confidence:.6}:{index}:{label}")
        };
        let of_image = |image: &Classified| image.probabilities.best_first().into_iter().take(most).map(class);
        Tensor::Strings(images.iter().flat_map(of_image).collect())
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
    /// How many of the likeliest classes are wanted in words, in place of all in numbers.
    pub classes: Option<usize>,
}

/// The outputs of a request, in its order; all where it names none.
///
/// # Errors
/// 400 when it names one that there is not, or asks for an extension that is not offered.
pub fn wanted(request: &Request) -> Result<Vec<Wanted>, Refusal> {
    let by_default = request.parameters.binary_data_output;
    if request.outputs.0.is_empty() {
        return Ok(Output::ALL.map(|output| Wanted { output, binary: by_default, classes: None }).into());
    }
    let wanted = |asked: &RequestedOutput| {
        let output = Output::ALL.into_iter().find(|output| output.name() == asked.name).ok_or_else(|| {
            let shown: String = asked.name.chars().take(100).collect();
            let names = Output::ALL.map(Output::name).join(", ");
            Refusal::bad_request(format!("there is no output {shown:?}: ask for {names}"))
        })?;
        let RequestedOutput { parameters, .. } = asked;
        let refuse = |error: &str| Err(Refusal::bad_request(format!("output {:?}: {error}", output.name())));
        if parameters.shared_memory_region.is_some() {
            return refuse("shared memory is not offered: take the data");
        }
        // As it is with Triton, none are all numbers.
        let classes = parameters.classification.filter(|classes| *classes > 0);
        if classes.is_some() && output != Output::Probabilities {
            return refuse("it has no classes: ask for the classification of probabilities");
        }
        let classes = classes.map(|classes| usize::try_from(classes).unwrap_or(usize::MAX));
        Ok(Wanted { output, binary: parameters.binary_data.unwrap_or(by_default), classes })
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
    fn len(&self) -> usize {
        match self {
            Self::Floats(floats) => floats.len(),
            Self::Integers(integers) => integers.len(),
            Self::Strings(strings) => strings.len(),
        }
    }

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
    let tensor = match wanted.classes {
        Some(most) => Output::classes(most, model, images),
        None => wanted.output.tensor(model, images),
    };
    let mut shape = vec![images.len()];
    if wanted.output == Output::Probabilities {
        shape.push(tensor.len() / images.len().max(1));
    }
    let datatype = if wanted.classes.is_some() { BYTES } else { wanted.output.datatype() };
    let name = wanted.output.name();
    if !wanted.binary {
        return (ResponseOutput { name, datatype, shape, parameters: None, data: Some(tensor) }, Vec::new());
    }
    let bytes = tensor.to_bytes();
    let parameters = Some(BinaryData { binary_data_size: bytes.len() });
    (ResponseOutput { name, datatype, shape, parameters, data: None }, bytes)
}
