//! An inference request: its JSON, and the binary tensors behind it.

use bytes::Bytes;
use serde::Deserialize;

use super::{absent, bounded::Few, data::Data};
use crate::http::Refusal;

/// The JSON of a request.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// Comes back with the answer.
    pub id: Option<String>,
    #[serde(default, deserialize_with = "absent::if_null")]
    pub parameters: RequestParameters,
    #[serde(default, deserialize_with = "absent::if_null")]
    pub inputs: Few<Input, 2>,
    /// All where it is missing or empty.
    #[serde(default, deserialize_with = "absent::if_null")]
    pub outputs: Few<RequestedOutput, 3>,
}

/// Parameters of a request. Those that are not known are ignored, as the protocol has it.
#[derive(Debug, Default, Deserialize)]
pub struct RequestParameters {
    /// Whether outputs that do not say otherwise come in binary.
    #[serde(default, deserialize_with = "absent::if_null")]
    pub binary_data_output: bool,
}

#[derive(Debug, Deserialize)]
pub struct Input {
    pub name: String,
    pub datatype: String,
    pub shape: Few<u64, 8>,
    #[serde(default, deserialize_with = "absent::if_null")]
    parameters: InputParameters,
    data: Option<Data>,
}

#[derive(Debug, Default, Deserialize)]
struct InputParameters {
    /// How many bytes behind the JSON are the tensor's.
    binary_data_size: Option<usize>,
    shared_memory_region: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct RequestedOutput {
    pub name: String,
    #[serde(default, deserialize_with = "absent::if_null")]
    pub parameters: OutputParameters,
}

#[derive(Debug, Default, Deserialize)]
pub struct OutputParameters {
    pub binary_data: Option<bool>,
    /// So many of the likeliest classes are wanted, in words, in place of the tensor.
    pub classification: Option<u64>,
    /// An extension that would change where it goes.
    pub shared_memory_region: Option<String>,
}

/// The elements of a tensor, as they came.
pub enum Elements {
    Json(Data),
    Binary(Bytes),
}

/// Parts a body: its JSON is the first `json_bytes`, or all of it where the header `Inference-Header-Content-Length` is
/// missing; the binary tensors follow. Gives the inputs with their elements beside the request.
///
/// # Errors
/// 400 when it is no request.
pub fn read(body: &Bytes, json_bytes: Option<usize>) -> Result<(Request, Vec<Elements>), Refusal> {
    let json_bytes = json_bytes.unwrap_or(body.len());
    let json = body.get(..json_bytes).ok_or_else(|| {
        let length = body.len();
        Refusal::bad_request(format!(
            "Inference-Header-Content-Length is {json_bytes}, but the body has {length} bytes"
        ))
    })?;
    let mut request: Request = serde_json::from_slice(json)
        .map_err(|error| Refusal::bad_request(format!("the JSON is no inference request: {error}")))?;
    let mut rest = body.slice(json_bytes..);
    let elements = request.inputs.0.iter_mut().map(|input| input.take(&mut rest)).collect::<Result<_, _>>()?;
    if !rest.is_empty() {
        let left = rest.len();
        return Err(Refusal::bad_request(format!("{left} bytes of the body belong to no input: see binary_data_size")));
    }
    Ok((request, elements))
}

impl Input {
    /// Its elements, from the JSON or from the beginning of `rest`.
    fn take(&mut self, rest: &mut Bytes) -> Result<Elements, Refusal> {
        let refuse = |error: &str| Err(Refusal::bad_request(format!("input {:?}: {error}", self.name)));
        if self.parameters.shared_memory_region.is_some() {
            return refuse("shared memory is not offered: send the data");
        }
        match (self.data.take(), self.parameters.binary_data_size) {
            (Some(data), None) => Ok(Elements::Json(data)),
            (None, Some(size)) if size <= rest.len() => Ok(Elements::Binary(rest.split_to(size))),
            (None, Some(size)) => {
                refuse(&format!("binary_data_size is {size}, but only {} bytes are left in the body", rest.len()))
            }
            (Some(_), Some(_)) => refuse("it has data in the JSON and in binary: send one of them"),
            (None, None) => refuse("it has no data: send \"data\", or \"binary_data_size\" and the bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inference_api::{MAX_IMAGES, open_inference::inputs::images};

    const REQUEST: &str = r#"{"id": "1", "inputs": [{"name": "file", "datatype": "BYTES", "shape": [1],
        "parameters": {"binary_data_size": 9}}], "outputs": [{"name": "label", "parameters": {"binary_data": true}}]}"#;

    fn count(body: Vec<u8>, json_bytes: Option<usize>) -> Result<usize, Refusal> {
        let (request, elements) = read(&body.into(), json_bytes)?;
        images(&request.inputs.0, elements, MAX_IMAGES).map(|images| images.len())
    }

    #[test]
    fn a_binary_tensor_follows_the_json() {
        let body = [REQUEST.as_bytes(), b"\x05\0\0\0bytes"].concat();
        assert_eq!(count(body, Some(REQUEST.len())), Ok(1));
    }

    #[test]
    fn more_inputs_outputs_or_dimensions_than_there_are_is_refused() {
        for list in
            [r#""inputs": [{},{},{}]"#, r#""inputs": [{"name": "a", "datatype": "b", "shape": [1,1,1,1,1,1,1,1,1]}]"#]
        {
            assert_eq!(count(format!("{{{list}}}").into_bytes(), None).unwrap_err().status, 400);
        }
    }

    proptest! {
        #[test]
        fn any_body_has_few_images_or_an_error(
            body in proptest::collection::vec(any::<u8>(), 0..2048),
            json_bytes in proptest::option::of(0_usize..3000),
        ) {
            if let Ok(count) = count(body, json_bytes) {
                prop_assert!(count <= MAX_IMAGES);
            }
        }

        #[test]
        fn a_damaged_request_has_few_images_or_an_error(
            place in any::<proptest::sample::Index>(),
            value in any::<u8>(),
            tensor in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut json = REQUEST.as_bytes().to_vec();
            let place = place.index(json.len());
            json[place] = value;
            if let Ok(count) = count([json, tensor].concat(), Some(REQUEST.len())) {
                prop_assert!(count <= MAX_IMAGES);
            }
        }
    }
}
