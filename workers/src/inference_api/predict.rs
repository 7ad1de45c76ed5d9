//! `POST /predict`: one image in, its label out.

use std::{convert::Infallible, future::ready, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header::CONTENT_TYPE},
    response::Response,
};
use bytes::Bytes;
use futures::stream;
use multer::Multipart;
use serde::Serialize;
use tailrace_classifier::Model;
use tailrace_wire::{Label, guess_content_type};

use super::{
    Api,
    images::{Classified, Image},
};
use crate::{
    classifying::label,
    http::{Refusal, json},
};

/// The field of a form that has the image.
const FIELD: &str = "image";
/// How many of the likeliest classes are named.
const CANDIDATES: usize = 5;

/// The answer: that of Kafka with the runners-up, and its times.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Prediction {
    #[serde(flatten)]
    label: Label,
    /// The likeliest first.
    top_five: Vec<Candidate>,
    /// From its arrival to the start of its batch.
    queue_micros: u64,
    /// Decoding and classifying its batch.
    compute_micros: u64,
}

#[derive(Serialize)]
struct Candidate {
    label: String,
    index: usize,
    confidence: f32,
}

/// Takes a file as the body, or in the field `image` of a form.
pub async fn predict(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Refusal> {
    api.ready()?;
    let (head, body) = request.into_parts();
    let body = api.bodies.receive(&head.headers, body).await?;
    let image = image(&head.headers, body).await?;
    let classified = api.classify(vec![image]).await?;
    let answer = classified.first().map(|classified| json(&prediction(&api.model, classified)));
    answer.ok_or_else(|| Refusal::unavailable("there is no answer: try again"))
}

fn prediction(model: &Model, Classified { probabilities, timing }: &Classified) -> Prediction {
    let name = |index: usize| model.labels().get(index).map(ToString::to_string).unwrap_or_default();
    let candidates = probabilities.best_first().into_iter().take(CANDIDATES);
    Prediction {
        label: label(model, probabilities),
        top_five: candidates.map(|(index, confidence)| Candidate { label: name(index), index, confidence }).collect(),
        queue_micros: timing.queue_micros(),
        compute_micros: timing.compute_micros(),
    }
}

/// The image of a body. Its content type is that of the header; without one, the first bytes tell.
async fn image(headers: &HeaderMap, body: Bytes) -> Result<Image, Refusal> {
    let content_type = match headers.get(CONTENT_TYPE) {
        None => guess_content_type(&body).to_owned(),
        Some(value) => String::from_utf8_lossy(value.as_bytes()).into_owned(),
    };
    match multer::parse_boundary(&content_type) {
        Ok(boundary) => of_form(body, boundary).await,
        Err(multer::Error::NoBoundary) => {
            Err(Refusal::bad_request("the Content-Type of a form must name its boundary: leave it to your client"))
        }
        Err(_) => Ok(Image::File { content_type, bytes: body }),
    }
}

async fn of_form(body: Bytes, boundary: String) -> Result<Image, Refusal> {
    let malformed = |error: multer::Error| Refusal::bad_request(format!("the form cannot be read: {error}"));
    let mut form = Multipart::new(stream::once(ready(Ok::<_, Infallible>(body))), boundary);
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        if field.name() != Some(FIELD) {
            continue;
        }
        let content_type = field.content_type().map(ToString::to_string);
        let bytes = field.bytes().await.map_err(malformed)?;
        let content_type = content_type.unwrap_or_else(|| guess_content_type(&bytes).to_owned());
        return Ok(Image::File { content_type, bytes });
    }
    Err(Refusal::bad_request(format!("the form has no field \"{FIELD}\": send the image's file in it")))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, StatusCode};
    use futures::executor::block_on;
    use proptest::prelude::*;

    use super::*;

    fn read(content_type: &str, body: &[u8]) -> Result<(String, Bytes), Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        match block_on(image(&headers, Bytes::copy_from_slice(body)))? {
            Image::File { content_type, bytes } => Ok((content_type, bytes)),
            Image::Pixels(_) => panic!("a body is a file"),
        }
    }

    const FORM: &str = "multipart/form-data; boundary=x";

    #[test]
    fn the_field_image_of_a_form_is_the_image() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n\
                    --x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.jpg\"\r\n\
                    Content-Type: image/jpeg\r\n\r\nbytes\r\n--x--\r\n";
        assert_eq!(read(FORM, body.as_bytes()), Ok(("image/jpeg".to_owned(), Bytes::from_static(b"bytes"))));
    }

    #[test]
    fn a_field_without_a_content_type_is_known_by_its_first_bytes() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n\xff\xd8\xff\xe0\r\n--x--\r\n";
        assert_eq!(read(FORM, body).unwrap().0, "image/jpeg");
    }

    #[test]
    fn a_form_without_the_field_a_boundary_or_an_end_is_refused() {
        let without = b"--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nhello\r\n--x--\r\n";
        for (content_type, body) in [(FORM, &without[..]), (FORM, b"--x\r\n"), ("multipart/form-data", b"")] {
            assert_eq!(read(content_type, body).unwrap_err().status, StatusCode::BAD_REQUEST);
        }
    }

    proptest! {
        #[test]
        fn any_form_is_an_image_or_an_error(
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..2048),
                "(--x(\r\n|--)?|Content-Disposition: form-data; name=\"image\"|\r\n|.){0,40}".prop_map(String::into_bytes),
            ],
        ) {
            if let Ok((_, bytes)) = read(FORM, &body) {
                prop_assert!(bytes.len() <= body.len());
            }
        }
    }
}
