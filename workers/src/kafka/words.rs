//! What Kafka's client says of its connections: a request that fails says only that nobody answered, and this why.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::healing;

/// The client repeats an error that lasts every half minute; what is older than twice that has passed.
const LASTS: Duration = Duration::from_secs(60);

/// The last words of a client, by itself a context for one. Clones hear together.
#[derive(Clone, Debug, Default)]
pub struct Words(Arc<Mutex<Option<Said>>>);

#[derive(Debug)]
struct Said {
    at: Instant,
    error: KafkaError,
    words: String,
}

impl Words {
    /// The client has said something. That all brokers are down says less than what it said before of one of them.
    pub fn hear(&self, error: KafkaError, words: &str) {
        tracing::debug!("Kafka's client: {error}: {words}");
        if error != KafkaError::Global(RDKafkaErrorCode::AllBrokersDown) {
            // How long that took and how often it was is different each time, and no news.
            let words = words.split_once(" (after ").map_or(words, |(words, _)| words).to_owned();
            *self.lock() = Some(Said { at: Instant::now(), error, words });
        }
    }

    /// A request was answered: what was said before is over.
    pub fn forget(&self) {
        *self.lock() = None;
    }

    /// What it said last.
    #[must_use]
    pub fn last(&self) -> Option<String> {
        self.lock().as_ref().filter(|said| said.at.elapsed() < LASTS).map(|said| said.words.clone())
    }

    /// Whether what it said last may pass by itself.
    #[must_use]
    pub fn can_heal(&self) -> bool {
        self.lock().as_ref().is_none_or(|said| healing::can_heal(&said.error))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Said>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Words {
    fn error(&self, error: KafkaError, reason: &str) {
        self.hear(error, reason);
    }
}

impl ConsumerContext for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_those_of_one_broker_until_a_request_is_answered() {
        let words = Words::default();
        assert_eq!((words.last(), words.can_heal()), (None, true));
        let refused = "Connection refused (after 0ms in state CONNECT, 7 identical error(s) suppressed)";
        words.hear(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), refused);
        words.hear(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert_eq!((words.last().as_deref(), words.can_heal()), (Some("Connection refused"), true));
        words.hear(KafkaError::Global(RDKafkaErrorCode::Authentication), "SASL authentication failed");
        assert!(!words.can_heal());
        words.forget();
        assert_eq!((words.last(), words.can_heal()), (None, true));
    }
}
