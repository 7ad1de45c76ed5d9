//! Records that cannot be used, kept with the reason.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use rdkafka::{
    Message,
    client::Client,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders, OwnedMessage},
    producer::{FutureProducer, FutureRecord, Producer},
    util::Timeout,
};
use tailrace_wire::{DEAD_LETTER_BYTES, DEAD_LETTER_ERROR, DEAD_LETTER_ORIGIN, readable_headers};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use crate::{
    backoff::Backoff,
    kafka::{Cluster, can_heal},
};

/// How large a letter may be for this client, as large as it can be: what is too large is the topic's to say.
const MOST_BYTES: &str = "1000000000";
/// How many bytes of records may be on their way together.
const ON_THEIR_WAY: usize = 16 << 20;
/// How long a letter is sent again that Kafka's client refuses at once, as it does while the topic is made anew.
const SEND_LIMIT: Duration = Duration::from_secs(60);
/// The longest key, header and reason of a stub.
const MOST_OF_A_STUB: usize = 1_000;
/// The most headers of a stub, besides its own.
const MOST_HEADERS: usize = 16;

/// What is left of a record.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub enum Kept {
    /// All of it.
    Whole,
    /// What it is, where it was and why it could not be used, without its value: the topic takes no letter as large.
    Stub,
    /// Nothing: the topic does not even take the stub.
    Nothing,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    kept: Kept,
}

/// Counts dead letters; clones count together.
#[derive(Clone, Default)]
pub struct Metrics(Family<Labels, Counter>);

impl Metrics {
    /// Under its name.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Records that could not be used, by what is kept of them on the dead-letter topic";
        registry.register("tailrace_dead_letters", help, self.0.clone());
    }
}

/// The way to the dead-letter topic; clones are the same way.
#[derive(Clone)]
pub struct DeadLetters {
    producer: FutureProducer,
    topic: String,
    metrics: Metrics,
    memory: Arc<Semaphore>,
}

impl DeadLetters {
    /// Connects when there is something to send.
    ///
    /// # Errors
    /// When Kafka's client cannot be set up.
    pub fn new(cluster: &Cluster, metrics: Metrics) -> anyhow::Result<Self> {
        let mut config = cluster.producer();
        // A letter that is too large must not take others with it.
        config.set("message.max.bytes", MOST_BYTES).set("batch.num.messages", "1");
        Ok(Self {
            producer: config.create().context("cannot set up Kafka's producer of dead letters")?,
            topic: cluster.dead_letter_topic.clone(),
            metrics,
            memory: Arc::new(Semaphore::new(ON_THEIR_WAY)),
        })
    }

    /// Its client.
    #[must_use]
    pub fn client(&self) -> &Client<impl rdkafka::ClientContext + use<>> {
        self.producer.client()
    }

    /// Waits until there is room for a letter of this record among those on their way.
    pub async fn room(&self, record: &OwnedMessage) -> Option<OwnedSemaphorePermit> {
        let bytes = record.payload().map_or(0, <[u8]>::len).clamp(1, ON_THEIR_WAY);
        // The semaphore is never closed.
        self.memory.clone().acquire_many_owned(u32::try_from(bytes).unwrap_or(u32::MAX)).await.ok()
    }

    /// Keeps a record, whole if the topic takes it. Comes back when Kafka has acknowledged what is kept.
    ///
    /// # Errors
    /// Of Kafka's client, after a minute where it may pass.
    pub async fn keep(&self, record: &OwnedMessage, error: &str) -> Result<(), KafkaError> {
        let kept = self.keep_any(record, error).await?;
        match (kept, origin(record)) {
            (Kept::Whole, _) => {}
            (Kept::Stub, origin) => tracing::warn!(
                "{} takes no letter as large as {origin}: only its headers are kept; raise max.message.bytes of the \
                 topic",
                self.topic
            ),
            (Kept::Nothing, origin) => {
                tracing::error!("the dead letter of {origin} is too large for {}: not kept", self.topic);
            }
        }
        self.metrics.0.get_or_create(&Labels { kept }).inc();
        Ok(())
    }

    async fn keep_any(&self, record: &OwnedMessage, error: &str) -> Result<Kept, KafkaError> {
        let whole = Letter { key: record.key(), payload: record.payload(), headers: headers(record, error) };
        if self.send(record, &whole).await? {
            return Ok(Kept::Whole);
        }
        let stub = self.send(record, &stub(record, error)).await?;
        Ok(if stub { Kept::Stub } else { Kept::Nothing })
    }

    /// False if it is too large.
    async fn send(&self, record: &OwnedMessage, letter: &Letter<'_>) -> Result<bool, KafkaError> {
        let (begun, mut backoff) = (Instant::now(), Backoff::new(Duration::from_millis(200), Duration::from_secs(5)));
        loop {
            let mut sent = FutureRecord::to(&self.topic).headers(letter.headers.clone());
            (sent.key, sent.payload) = (letter.key, letter.payload);
            match self.producer.send(sent, Timeout::Never).await {
                Ok(_) => return Ok(true),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => return Ok(false),
                Err((error, _)) if can_heal(&error) && begun.elapsed() < SEND_LIMIT => {
                    tracing::warn!("the dead letter of {} is sent again: {error}", origin(record));
                    sleep(backoff.delay()).await;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }
}

struct Letter<'r> {
    key: Option<&'r [u8]>,
    payload: Option<&'r [u8]>,
    headers: OwnedHeaders,
}

/// Where a record is, as `topic/partition/offset`.
#[must_use]
pub fn origin<M: Message>(record: &M) -> String {
    format!("{}/{}/{}", record.topic(), record.partition(), record.offset())
}

/// The headers of a record's dead letter: its own, the reason and its origin. Key and value stay as they are.
#[must_use]
pub fn headers<M: Message>(record: &M, error: &str) -> OwnedHeaders {
    let own = record.headers().into_iter().flat_map(readable_headers);
    own.fold(OwnedHeaders::new(), OwnedHeaders::insert).with_reason(record, error)
}

/// A letter without a value, as small as any topic takes: what is long of it is left out, too.
fn stub<'r>(record: &'r OwnedMessage, error: &str) -> Letter<'r> {
    let is_short =
        |header: &Header<'_, &[u8]>| header.key.len() + header.value.map_or(0, <[u8]>::len) <= MOST_OF_A_STUB;
    let own = record.headers().into_iter().flat_map(readable_headers).filter(is_short).take(MOST_HEADERS);
    let bytes = record.payload().map_or(0, <[u8]>::len).to_string();
    let short: String = error.chars().take(MOST_OF_A_STUB / 4).collect();
    let headers = own
        .fold(OwnedHeaders::new(), OwnedHeaders::insert)
        .with_reason(record, &short)
        .insert(Header { key: DEAD_LETTER_BYTES, value: Some(&bytes) });
    Letter { key: record.key().filter(|key| key.len() <= MOST_OF_A_STUB), payload: None, headers }
}

trait WithReason {
    fn with_reason<M: Message>(self, record: &M, error: &str) -> Self;
}

impl WithReason for OwnedHeaders {
    fn with_reason<M: Message>(self, record: &M, error: &str) -> Self {
        self.insert(Header { key: DEAD_LETTER_ERROR, value: Some(error) })
            .insert(Header { key: DEAD_LETTER_ORIGIN, value: Some(&origin(record)) })
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::{Timestamp, message::Headers};

    use super::*;

    fn record(headers: OwnedHeaders) -> OwnedMessage {
        let (value, key) = (Some(vec![0; 5_000]), Some(b"camera".to_vec()));
        OwnedMessage::new(value, key, "iot_images".into(), Timestamp::NotAvailable, 2, 99, Some(headers))
    }

    fn text(headers: &OwnedHeaders) -> Vec<(String, Vec<u8>)> {
        headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
    }

    fn own() -> OwnedHeaders {
        OwnedHeaders::new().insert(Header { key: "ce_id", value: Some("17") })
    }

    fn expected(rest: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        let all = [("ce_id", "17"), ("tailrace_error", "no image"), ("tailrace_origin", "iot_images/2/99")];
        all.iter().chain(rest).map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn a_dead_letter_keeps_its_headers_and_says_why_and_from_where() {
        assert_eq!(text(&headers(&record(own()), "no image")), expected(&[]));
    }

    #[test]
    fn a_stub_says_the_same_and_how_much_is_left_out() {
        let record = record(own().insert(Header { key: "long", value: Some(&"x".repeat(2_000)) }));
        let stub = stub(&record, "no image");
        assert_eq!(text(&stub.headers), expected(&[("tailrace_bytes", "5000")]));
        assert_eq!((stub.key, stub.payload), (Some(&b"camera"[..]), None));
    }

    #[test]
    fn a_stub_is_small_whatever_the_record_has() {
        let headers = (0..10_000).fold(OwnedHeaders::new(), |all, number| {
            all.insert(Header { key: &format!("header-{number}"), value: Some(&"x".repeat(900)) })
        });
        let record = record(headers);
        let stub = stub(&record, &"\u{1f4f7}".repeat(100_000));
        let bytes = text(&stub.headers).iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        assert!(bytes < 20_000, "{bytes}");
    }
}
