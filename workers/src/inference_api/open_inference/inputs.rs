//! From input tensors to images.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Buf, Bytes};
use tailrace_classifier::{Pixels, RAW_BYTES, SIDE};
use tailrace_wire::guess_content_type;

use super::{
    data::Data,
    request::{Elements, Input},
};
use crate::{http::Refusal, inference_api::images::Image};

pub const IMAGE: &str = "image";
pub const FILE: &str = "file";
pub const UINT8: &str = "UINT8";
pub const BYTES: &str = "BYTES";

/// The images of the one input, `image` or `file`; from 1 to `most`.
///
/// # Errors
/// 400 when the tensor is not as the metadata say, 413 when there are too many images.
pub fn images(inputs: &[Input], elements: Vec<Elements>, most: usize) -> Result<Vec<Image>, Refusal> {
    let [input] = inputs else {
        let error = format!("there are {} inputs: send one, {IMAGE:?} or {FILE:?}", inputs.len());
        return Err(Refusal::bad_request(error));
    };
    let elements = elements.into_iter().next().ok_or_else(|| Refusal::bad_request("the input has no data"))?;
    let count = number_of_images(input)?;
    if count > most as u64 {
        return Err(Refusal::too_large(format!("{count} images are too many: send at most {most} in a request")));
    }
    let (count, images) = match input.name.as_str() {
        IMAGE => (count, of_pixels(elements)?),
        _ => (count, of_files(elements, most)?),
    };
    if images.len() as u64 != count {
        let (name, found) = (&input.name, images.len());
        let error = format!("input {name:?}: its shape says {count} images, its data are {found}");
        return Err(Refusal::bad_request(error));
    }
    Ok(images)
}

/// What the shape says, if it is one of this input's.
fn number_of_images(input: &Input) -> Result<u64, Refusal> {
    let side = SIDE as u64;
    let (datatype, rest, shape): (_, &[u64], _) = match input.name.as_str() {
        IMAGE => (UINT8, &[side, side, 3], "[n, 32, 32, 3]"),
        FILE => (BYTES, &[], "[n]"),
        other => {
            let shown: String = other.chars().take(100).collect();
            let error = format!("there is no input {shown:?}: send {IMAGE:?} or {FILE:?}");
            return Err(Refusal::bad_request(error));
        }
    };
    match input.shape.0.split_first() {
        Some((count, found)) if *count > 0 && found == rest && input.datatype == datatype => Ok(*count),
        _ => {
            let datatype_found: String = input.datatype.chars().take(100).collect();
            let Input { name, shape: found, .. } = input;
            let error =
                format!("input {name:?} is {datatype} {shape} with n from 1, not {datatype_found} {:?}", found.0);
            Err(Refusal::bad_request(error))
        }
    }
}

fn of_pixels(elements: Elements) -> Result<Vec<Image>, Refusal> {
    let numbers = match elements {
        Elements::Binary(bytes) => bytes,
        Elements::Json(Data::Numbers(numbers)) => numbers.into(),
        Elements::Json(Data::Strings(_)) => {
            return Err(Refusal::bad_request(format!("input {IMAGE:?}: its data are strings: send numbers")));
        }
    };
    let image = |pixels: &[u8]| match Pixels::from_rgb(pixels) {
        Ok(pixels) => Ok(Image::Pixels(pixels)),
        Err(_) => {
            let error = format!("input {IMAGE:?}: {} numbers are not {RAW_BYTES} for each image", numbers.len());
            Err(Refusal::bad_request(error))
        }
    };
    numbers.chunks(RAW_BYTES).map(image).collect()
}

fn of_files(elements: Elements, most: usize) -> Result<Vec<Image>, Refusal> {
    let files = match elements {
        Elements::Binary(bytes) => parted(bytes, most)?,
        Elements::Json(Data::Strings(strings)) => {
            strings.iter().map(|text| of_base64(text)).collect::<Result<_, _>>()?
        }
        Elements::Json(Data::Numbers(_)) => {
            return Err(Refusal::bad_request(format!("input {FILE:?}: its data are no strings: send files in base64")));
        }
    };
    let image = |bytes: Bytes| Image::File { content_type: guess_content_type(&bytes).to_owned(), bytes };
    Ok(files.into_iter().map(image).collect())
}

fn of_base64(text: &str) -> Result<Bytes, Refusal> {
    let refuse = |error| Refusal::bad_request(format!("input {FILE:?}: a file is not in base64: {error}"));
    STANDARD.decode(text).map(Into::into).map_err(refuse)
}

/// Each element is its length, four bytes, the least significant first, and so many bytes.
fn parted(mut bytes: Bytes, most: usize) -> Result<Vec<Bytes>, Refusal> {
    let mut files = Vec::new();
    while !bytes.is_empty() {
        let length = bytes.try_get_u32_le().map(|length| length as usize);
        match length {
            Ok(length) if length <= bytes.len() && files.len() < most => files.push(bytes.split_to(length)),
            _ => {
                let error = "its bytes do not part into as many files: each has its length before it, in 4 bytes";
                return Err(Refusal::bad_request(format!("input {FILE:?}: {error}")));
            }
        }
    }
    Ok(files)
}
