//! Images on their way to the inference server and back.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::FutureExt;
use rdkafka::Message;
use tailrace_classifier::media_type;
use tailrace_wire::Answer;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use super::{
    attempts::{Attempts, Next},
    breaker::Breaker,
    lines::Lines,
    log::Log,
    metrics::Metrics,
    reply::Reply,
    server::Server,
};
use crate::{
    classifying::Timing,
    ending::Ending,
    images::{Destination, Image},
    sentence::sentence,
};

/// So many images are taken from Kafka for each that may be at the server: enough to keep it busy, little enough to
/// bound memory.
const IMAGES_FOR_A_REQUEST: usize = 4;

/// Clones are one bridge.
#[derive(Clone)]
pub struct Bridge {
    parts: Arc<Parts>,
    runtime: Handle,
}

struct Parts {
    server: Arc<Server>,
    breaker: Arc<Breaker>,
    /// By partition and key of their records.
    lines: Lines<Key, Held>,
    /// Of images that were taken from Kafka.
    places: Arc<Semaphore>,
    /// At once.
    requests: Semaphore,
    concurrency: u32,
    metrics: Metrics,
    log: Log,
    ending: Arc<Ending>,
}

/// Kafka promises an order to records with the same key, of one partition.
type Key = (i32, Vec<u8>);

/// An image with its place, which is free again when the image is answered.
struct Held {
    image: Image,
    _place: Option<OwnedSemaphorePermit>,
}

impl Bridge {
    /// At most `concurrency` images are at the server.
    pub fn new(
        server: Arc<Server>,
        breaker: Arc<Breaker>,
        concurrency: u16,
        metrics: Metrics,
        ending: Arc<Ending>,
        runtime: Handle,
    ) -> Self {
        let requests = usize::from(concurrency);
        let parts = Parts {
            server,
            breaker,
            lines: Lines::new(),
            places: Arc::new(Semaphore::new(IMAGES_FOR_A_REQUEST * requests)),
            requests: Semaphore::new(requests),
            concurrency: concurrency.into(),
            metrics,
            log: Log::default(),
            ending,
        };
        Self { parts: Arc::new(parts), runtime }
    }
}

impl Destination for Bridge {
    fn wait_for_room(&self, limit: Duration) -> bool {
        let places = &self.parts.places;
        places.available_permits() > 0
            || self.runtime.block_on(async { timeout(limit, places.acquire()).await.is_ok() })
    }

    fn push(&self, image: Image) {
        // There is a place, unless the image slipped through where none was asked for.
        let held = Held { _place: self.parts.places.clone().try_acquire_owned().ok(), image };
        let parts = self.parts.clone();
        match held.image.record.key() {
            None => self.spawn(async move { parts.carry(held).await }),
            Some(key) => {
                let key = (held.image.record.partition(), key.to_vec());
                if parts.lines.join(key.clone(), held) {
                    self.spawn(async move { parts.serve(&key).await });
                }
            }
        }
    }
}

impl Bridge {
    /// However a task ends, the process must not go on without it.
    fn spawn(&self, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let ending = self.parts.ending.clone();
        self.runtime.spawn(async move {
            match AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => ending.fail(sentence(&error)),
                Err(_) => ending.fail("the bridge panicked".to_owned()),
            }
        });
    }
}

impl Parts {
    /// One image after the other, until none waits.
    async fn serve(&self, key: &Key) -> anyhow::Result<()> {
        while let Some(held) = self.lines.next(key) {
            self.carry(held).await?;
        }
        Ok(())
    }

    /// Brings an image to its answer, unless somebody else has to.
    async fn carry(&self, Held { image, .. }: Held) -> anyhow::Result<()> {
        tokio::select! {
            () = image.taken_away().cancelled() => Ok(()),
            (reply, waited) = self.reply(&image) => hand_over(&image, reply, waited),
        }
    }

    /// What becomes of an image, and how long it waited before it was sent.
    ///
    /// The content type is judged here, in the classifier's own words: it may be one that no HTTP header can hold, or
    /// one that HTTP knows as something else than an image, such as a form.
    async fn reply(&self, image: &Image) -> (Reply, Duration) {
        let refused = |error: String| (Reply::Refused(error), image.arrived.elapsed());
        let file = match image.file() {
            Ok(file) => file,
            Err(error) => return refused(error.to_string()),
        };
        match media_type(&image.event.content_type, file) {
            Ok(media_type) => self.ask(image, media_type, Bytes::copy_from_slice(file)).await,
            Err(error) => refused(error.to_string()),
        }
    }

    /// Sends the image until there is a reply.
    async fn ask(&self, image: &Image, media_type: &'static str, file: Bytes) -> (Reply, Duration) {
        let mut attempts = Attempts::new();
        loop {
            let company = if attempts.next_is_alone() { self.concurrency } else { 1 };
            // The semaphore is never closed.
            let place = self.requests.acquire_many(company).await.ok();
            self.breaker.closed().await;
            let (waited, sent) = (image.arrived.elapsed(), Instant::now());
            let ended = self.server.predict(media_type, file.clone()).await;
            drop(place);
            self.metrics.request(&ended, sent.elapsed());
            self.breaker.ended(&ended);
            let trouble = match ended {
                Ok(reply) => return (reply, waited),
                Err(trouble) => trouble,
            };
            match attempts.failed(&trouble) {
                Next::GiveUp(error) => return (Reply::Refused(error), waited),
                Next::Wait(delay) => {
                    self.metrics.retry(trouble.reason());
                    self.log.retry(&trouble);
                    sleep(delay).await;
                }
            }
        }
    }
}

/// The times of an answer are durations, each of one clock: what the image waited here, and what the server says.
fn hand_over(image: &Image, reply: Reply, waited: Duration) -> anyhow::Result<()> {
    let unanswered = Timing { queue: waited, compute: Duration::ZERO };
    match reply {
        Reply::Labelled(label, Timing { queue, compute }) => {
            image.answer(Answer::Label(label), Timing { queue: waited.saturating_add(queue), compute })
        }
        Reply::Refused(error) => image.refuse(&error, unanswered),
        Reply::Failed(error) => image.answer(Answer::Failed { error }, unanswered),
    }
}
