//! Images on their way to the classifying threads and back.

use std::time::Instant;

use axum::http::StatusCode;
use bytes::Bytes;
use tailrace_classifier::{DecodeError, Pixels, Probabilities, decode};
use tokio::sync::oneshot;

use super::Api;
use crate::{
    classifying::{Full, Job, Timing, Unclassified},
    http::Refusal,
};

/// What a request brings.
pub enum Image {
    /// A file of a content type.
    File { content_type: String, bytes: Bytes },
    /// Pixels as the network takes them.
    Pixels(Pixels),
}

/// An image with its answer.
pub struct Classified {
    pub probabilities: Probabilities,
    pub timing: Timing,
}

type Reply = (Result<Probabilities, Unclassified>, Timing);

/// An image in the queue. Its request waits for the reply, unless its client has gone away.
struct Asked {
    image: Image,
    arrived: Instant,
    reply: oneshot::Sender<Reply>,
}

impl Job for Asked {
    fn arrived(&self) -> Instant {
        self.arrived
    }

    fn decode(&self) -> Result<Pixels, Unclassified> {
        match &self.image {
            Image::File { content_type, bytes } => Ok(decode(content_type, bytes)?),
            Image::Pixels(pixels) => Ok(pixels.clone()),
        }
    }

    /// The server drops a request whose connection ends, and with it the receiver of the reply.
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn answer(self: Box<Self>, outcome: Result<Probabilities, Unclassified>, timing: Timing) -> anyhow::Result<()> {
        // It may have been abandoned while it was computed.
        let _ = self.reply.send((outcome, timing));
        Ok(())
    }
}

impl Api {
    /// The answers, in the order of the images; all or none of them.
    ///
    /// # Errors
    /// 429 when they find no place in the queue, and what [`Refusal::from`] makes of an image that has no answer.
    pub async fn classify(&self, images: Vec<Image>) -> Result<Vec<Classified>, Refusal> {
        let (arrived, count) = (Instant::now(), images.len());
        let (jobs, replies): (Vec<Box<dyn Job>>, Vec<_>) = images
            .into_iter()
            .map(|image| {
                let (reply, answer) = oneshot::channel();
                (Box::new(Asked { image, arrived, reply }) as Box<dyn Job>, answer)
            })
            .unzip();
        self.entrance.try_push(jobs).map_err(|Full| self.full(count))?;

        let mut classified = Vec::with_capacity(count);
        for (number, reply) in replies.into_iter().enumerate() {
            let ended = |_| Refusal::unavailable("this server is shutting down: ask another");
            let (outcome, timing) = reply.await.map_err(ended)?;
            let probabilities = outcome.map_err(|refused| match count {
                1 => Refusal::from(refused),
                _ => Refusal::from(refused).about(&format!("image {number}")),
            })?;
            classified.push(Classified { probabilities, timing });
        }
        Ok(classified)
    }

    fn full(&self, count: usize) -> Refusal {
        let capacity = self.entrance.capacity();
        Refusal::busy(format!("the queue of {capacity} images has no place for {count}: try again in a second"))
    }
}

impl From<Unclassified> for Refusal {
    fn from(unclassified: Unclassified) -> Self {
        let status = match &unclassified {
            Unclassified::Undecodable(DecodeError::UnsupportedType { .. } | DecodeError::UnsupportedFormat { .. }) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Unclassified::Undecodable(DecodeError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Unclassified::Undecodable(_) | Unclassified::NoImage(_) | Unclassified::DecoderPanicked => {
                StatusCode::BAD_REQUEST
            }
            Unclassified::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, unclassified.to_string())
    }
}
