//! The bodies of requests, bounded in size, in time, and in what they hold of memory together.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_ENCODING, EXPECT},
    },
};
use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
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

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    /// The zlib format (RFC 9110, section 8.4.1.2).
    Deflate,
}

impl Encoding {
    /// # Errors
    /// 415 when it is another one, or several.
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let name =
            |value: &HeaderValue| value.to_str().map(|text| text.trim().to_ascii_lowercase()).unwrap_or_default();
        let names: Vec<_> = headers.get_all(CONTENT_ENCODING).iter().map(name).collect();
        match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] | ["identity" | ""] => Ok(Self::Identity),
            ["gzip" | "x-gzip"] => Ok(Self::Gzip),
            ["deflate"] => Ok(Self::Deflate),
            _ => {
                let error = "this Content-Encoding is not understood: send gzip, deflate, or the body as it is";
                Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error))
            }
        }
    }
}

/// Takes a body piece by piece, and holds no more of it than may be, however small it was when it was compressed.
struct Receiver<'b> {
    bodies: &'b Bodies,
    held: Held,
    /// Why the last piece was not taken.
    refusal: Option<Refusal>,
}

impl Receiver<'_> {
    fn take(&mut self, data: &[u8]) -> Result<(), Refusal> {
        if self.held.bytes.len() + data.len() > self.bodies.largest {
            return Err(self.bodies.too_large());
        }
        let share = self.bodies.share(data.len())?;
        match &mut self.held.memory {
            Some(memory) => memory.merge(share),
            None => self.held.memory = Some(share),
        }
        self.held.bytes.extend_from_slice(data);
        Ok(())
    }
}

/// What a decoder writes to.
impl Write for Receiver<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.take(data).map(|()| data.len()).map_err(|refusal| {
            self.refusal = Some(refusal);
            io::Error::other("the body is refused")
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A receiver behind its decoder.
enum Decoder<'b> {
    Identity(Receiver<'b>),
    Gzip(MultiGzDecoder<Receiver<'b>>),
    Deflate(ZlibDecoder<Receiver<'b>>),
}

impl<'b> Decoder<'b> {
    fn new(encoding: Encoding, receiver: Receiver<'b>) -> Self {
        match encoding {
            Encoding::Identity => Self::Identity(receiver),
            Encoding::Gzip => Self::Gzip(MultiGzDecoder::new(receiver)),
            Encoding::Deflate => Self::Deflate(ZlibDecoder::new(receiver)),
        }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), Refusal> {
        let written = match self {
            Self::Identity(receiver) => return receiver.take(data),
            Self::Gzip(decoder) => decoder.write_all(data),
            Self::Deflate(decoder) => decoder.write_all(data),
        };
        written.map_err(|error| self.refusal(&error))
    }

    fn end(mut self) -> Result<Held, Refusal> {
        let ended = match &mut self {
            Self::Identity(_) => Ok(()),
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
        };
        ended.map_err(|error| self.refusal(&error))?;
        Ok(std::mem::replace(&mut self.receiver().held, Held { bytes: Vec::new(), memory: None }))
    }

    fn receiver(&mut self) -> &mut Receiver<'b> {
        match self {
            Self::Identity(receiver) => receiver,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
        }
    }

    /// That of the receiver, or else that of the decoder.
    fn refusal(&mut self, error: &io::Error) -> Refusal {
        let own = || Refusal::bad_request(format!("the body is not what its Content-Encoding says: {error}"));
        self.receiver().refusal.take().unwrap_or_else(own)
    }
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
    /// 413 when it is too large, 408 when it takes too long, 415 when it is compressed in a way that is not understood,
    /// 429 when the bodies of others leave no memory, 400 when it breaks off.
    pub async fn receive(&self, headers: &HeaderMap, mut body: Body) -> Result<Bytes, Refusal> {
        let encoding = match self.check(headers, &body) {
            Ok(encoding) => encoding,
            Err(refusal) => {
                // Who waits for a sign to send the body does not send it now.
                if !headers.contains_key(EXPECT) {
                    self.discard(&mut body).await;
                }
                return Err(refusal);
            }
        };
        match timeout(self.time, self.read(encoding, &mut body)).await {
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
    fn check(&self, headers: &HeaderMap, body: &Body) -> Result<Encoding, Refusal> {
        let encoding = Encoding::of(headers)?;
        if body.size_hint().lower() > self.largest as u64 {
            return Err(self.too_large());
        }
        Ok(encoding)
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

    async fn read(&self, encoding: Encoding, body: &mut Body) -> Result<Bytes, Refusal> {
        let held = Held { bytes: Vec::new(), memory: None };
        let mut decoder = Decoder::new(encoding, Receiver { bodies: self, held, refusal: None });
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Refusal::bad_request(format!("the body breaks off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            decoder.take(&data)?;
        }
        decoder.end().map(Bytes::from_owner)
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

    use flate2::{
        Compression,
        write::{GzEncoder, ZlibEncoder},
    };
    use futures::stream;
    use tokio::runtime::Runtime;

    use super::*;

    const LARGEST: u32 = 100;

    fn receive(bodies: &Bodies, body: Body) -> Result<Bytes, Refusal> {
        receive_encoded(bodies, None, body)
    }

    fn receive_encoded(bodies: &Bodies, encoding: Option<&'static str>, body: Body) -> Result<Bytes, Refusal> {
        let runtime = Runtime::new().unwrap();
        let headers = encoding.map(|name| (CONTENT_ENCODING, HeaderValue::from_static(name)));
        runtime.block_on(bodies.receive(&headers.into_iter().collect(), body))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
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
    fn a_compressed_body_is_what_it_was_before() {
        let text = b"one two".as_slice();
        for (encoding, body) in [
            ("gzip", gzip(text)),
            ("X-GZIP", gzip(text)),
            ("gzip", [gzip(b"one "), gzip(b"two")].concat()),
            ("deflate", deflate(text)),
            ("identity", text.to_vec()),
        ] {
            let pieces = body.chunks(3).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)));
            let pieces = stream::iter(pieces.collect::<Vec<_>>());
            assert_eq!(
                receive_encoded(&bodies(), Some(encoding), Body::from_stream(pieces)).unwrap(),
                text,
                "{encoding}"
            );
        }
    }

    #[test]
    fn a_compressed_body_is_bounded_by_what_comes_out_of_it() {
        let bodies = bodies();
        for (encoding, bomb) in [("gzip", gzip(&[0; 1 << 20])), ("deflate", deflate(&[0; LARGEST as usize + 1]))] {
            let refusal = receive_encoded(&bodies, Some(encoding), Body::from_stream(pieces(&bomb))).unwrap_err();
            assert_eq!(refusal, Refusal::too_large("the body is too large: send at most 100 bytes"));
        }
        let largest = || Body::from_stream(pieces(&gzip(&[0; LARGEST as usize])));
        let held: Vec<_> =
            (0..LARGEST_AT_ONCE).map(|_| receive_encoded(&bodies, Some("gzip"), largest()).unwrap()).collect();
        let refusal = receive_encoded(&bodies, Some("gzip"), largest()).unwrap_err();
        assert_eq!(refusal.status, StatusCode::TOO_MANY_REQUESTS);
        drop(held);
        assert!(receive_encoded(&bodies, Some("gzip"), largest()).is_ok());
    }

    fn pieces(bytes: &[u8]) -> impl futures::Stream<Item = Result<Bytes, Infallible>> + use<> {
        stream::iter(bytes.chunks(50).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect::<Vec<_>>())
    }

    #[test]
    fn a_body_that_is_not_what_it_says_or_in_another_encoding_is_refused() {
        let whole = gzip(b"one two");
        for body in [&whole[..whole.len() - 3], b"one two", &whole[3..]] {
            let refusal = receive_encoded(&bodies(), Some("gzip"), Body::from(body.to_vec())).unwrap_err();
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{refusal:?}");
            assert!(refusal.error.starts_with("the body is not what its Content-Encoding says: "), "{refusal:?}");
        }
        for encoding in ["br", "zstd", "gzip, gzip"] {
            let refusal = receive_encoded(&bodies(), Some(encoding), Body::from(whole.clone())).unwrap_err();
            assert_eq!(refusal.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{encoding}");
        }
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
