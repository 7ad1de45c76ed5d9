//! The bodies of requests, bounded in size, in time, and in what they hold of memory together.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_ENCODING, EXPECT},
    },
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::Refusal;

/// All bodies together may hold so many times what one may.
const LARGEST_AT_ONCE: usize = 4;

/// What bodies may take.
pub struct Bodies {
    largest: usize,
    time: Duration,
    memory: Arc<Semaphore>,
}

/// The bytes of a body with their share of the memory, which they give back when the last part of them is dropped.
struct Held {
    bytes: Vec<u8>,
    memory: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Bodies {
    /// `largest` in bytes; `time` for one whole body.
    #[must_use]
    pub fn new(largest: u32, time: Duration) -> Self {
        let largest = largest as usize;
        Self { largest, time, memory: Arc::new(Semaphore::new(LARGEST_AT_ONCE * largest)) }
    }

    /// The whole body.
    ///
    /// # Errors
    /// 413 when it is too large, 408 when it takes too long, 415 when it is compressed, 429 when the bodies of others
    /// leave no memory, 400 when it breaks off.
    pub async fn receive(&self, headers: &HeaderMap, mut body: Body) -> Result<Bytes, Refusal> {
        if let Err(refusal) = self.check(headers, &body) {
            // Who waits for a sign to send the body does not send it now.
            if !headers.contains_key(EXPECT) {
                self.discard(&mut body).await;
            }
            return Err(refusal);
        }
        match timeout(self.time, self.read(&mut body)).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(refusal)) => {
                self.discard(&mut body).await;
                Err(refusal)
            }
            Err(_) => {
                let error = format!("the body did not arrive within {:?}", self.time);
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error))
            }
        }
    }

    /// What the headers say already.
    fn check(&self, headers: &HeaderMap, body: &Body) -> Result<(), Refusal> {
        if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            let error = "a body with a Content-Encoding is not understood: send it as it is";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
        }
        if body.size_hint().lower() > self.largest as u64 {
            return Err(self.too_large());
        }
        Ok(())
    }

    /// Reads on for a while without keeping anything: a client that is still sending when the connection closes loses
    /// the answer that says why.
    async fn discard(&self, body: &mut Body) {
        let rest = async {
            let mut left = self.largest;
            while let Some(Ok(frame)) = body.frame().await {
                let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { break };
                left = rest;
            }
        };
        // What matters is the refusal.
        let _ = timeout(self.time, rest).await;
    }

    async fn read(&self, body: &mut Body) -> Result<Bytes, Refusal> {
        let mut held = Held { bytes: Vec::new(), memory: None };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Refusal::bad_request(format!("the body breaks off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if held.bytes.len() + data.len() > self.largest {
                return Err(self.too_large());
            }
            let share = self.share(data.len())?;
            match &mut held.memory {
                Some(memory) => memory.merge(share),
                None => held.memory = Some(share),
            }
            held.bytes.extend_from_slice(&data);
        }
        Ok(Bytes::from_owner(held))
    }

    fn share(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let bytes = u32::try_from(bytes).map_err(|_| self.too_large())?;
        let busy = |_| Refusal::busy("other requests hold all memory that bodies may take: try again in a second");
        self.memory.clone().try_acquire_many_owned(bytes).map_err(busy)
    }

    fn too_large(&self) -> Refusal {
        Refusal::too_large(format!("the body is too large: send at most {} bytes", self.largest))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use tokio::runtime::Runtime;

    use super::*;

    const LARGEST: u32 = 100;

    fn receive(bodies: &Bodies, body: Body) -> Result<Bytes, Refusal> {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(bodies.receive(&HeaderMap::new(), body))
    }

    fn bodies() -> Bodies {
        Bodies::new(LARGEST, Duration::from_millis(50))
    }

    #[test]
    fn a_body_in_pieces_is_put_together() {
        let pieces =
            stream::iter(["one ", "two"].map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes()))));
        assert_eq!(receive(&bodies(), Body::from_stream(pieces)).unwrap(), "one two");
    }

    #[test]
    fn a_body_of_unknown_length_is_cut_at_the_limit() {
        let endless = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[0; 60])));
        let refusal = receive(&bodies(), Body::from_stream(endless)).unwrap_err();
        assert_eq!(refusal, Refusal::too_large("the body is too large: send at most 100 bytes"));
    }

    #[test]
    fn a_body_that_does_not_come_is_not_waited_for() {
        let stalled = stream::pending::<Result<Bytes, Infallible>>();
        let refusal = receive(&bodies(), Body::from_stream(stalled)).unwrap_err();
        assert_eq!(refusal.status, StatusCode::REQUEST_TIMEOUT);
    }

    #[test]
    fn all_bodies_together_hold_no_more_than_four_of_the_largest() {
        let (bodies, largest) = (bodies(), || Body::from(vec![0; LARGEST as usize]));
        let mut held: Vec<_> = (0..LARGEST_AT_ONCE).map(|_| receive(&bodies, largest()).unwrap()).collect();
        assert_eq!(receive(&bodies, largest()).unwrap_err().status, StatusCode::TOO_MANY_REQUESTS);
        let slice = held.pop().unwrap().slice(..1);
        assert!(receive(&bodies, largest()).is_err(), "a part of a body holds the whole");
        drop(slice);
        assert!(receive(&bodies, largest()).is_ok());
    }
}
