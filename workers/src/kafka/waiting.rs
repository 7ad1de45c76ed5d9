//! Waiting for Kafka and its topics.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    client::Client,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    metadata::MetadataTopic,
};
use tokio_util::sync::CancellationToken;

use super::{
    healing::{can_heal, code_can_heal},
    words::Words,
};
use crate::attempts::{Attempts, Obstacle};

/// Kafka or its topics are not there.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// No broker answered in time.
    #[error("Kafka does not answer within {waited:.0?}: {}; check the bootstrap servers", self.details())]
    NoBroker {
        /// How long it was tried.
        waited: Duration,
        /// What the last attempt said.
        source: KafkaError,
        /// What Kafka's client has said of its connections.
        words: Words,
    },
    /// Kafka answers, but a topic is missing.
    #[error("Kafka has no topic {topic} after {waited:.0?}: create it, for example with `tailrace-worker topics`")]
    NoTopic {
        /// The first topic that is missing.
        topic: String,
        /// How long it was tried.
        waited: Duration,
    },
    /// The topic is there, and cannot be used.
    #[error("partition {partition} of the topic {topic} has no leader after {waited:.0?}: a broker is away")]
    NoLeader {
        /// The topic.
        topic: String,
        /// The first such partition.
        partition: i32,
        /// How long it was tried.
        waited: Duration,
    },
    /// Kafka refuses to say anything of a topic.
    #[error("Kafka refuses the topic {topic}: {code}")]
    Refused {
        /// The topic.
        topic: String,
        /// Why.
        code: RDKafkaErrorCode,
    },
    /// The process was asked to stop meanwhile.
    #[error("stopped while waiting for Kafka")]
    Stopped,
}

impl WaitError {
    /// What the last attempt said, and why that was.
    fn details(&self) -> String {
        match self {
            Self::NoBroker { source, words, .. } => said(source, words),
            _ => String::new(),
        }
    }
}

impl Obstacle for WaitError {
    fn reason(&self) -> &'static str {
        match self {
            Self::NoBroker { .. } => "NoAnswer",
            Self::NoTopic { .. } => "NoTopic",
            Self::NoLeader { .. } => "NoLeader",
            Self::Refused { .. } => "Refused",
            Self::Stopped => "Stopped",
        }
    }

    fn waiting_for(&self) -> String {
        match self {
            Self::NoBroker { source, words, .. } => format!("Kafka does not answer: {}", said(source, words)),
            Self::NoTopic { topic, .. } => format!("Kafka has no topic {topic}"),
            Self::NoLeader { topic, partition, .. } => {
                format!("partition {partition} of the topic {topic} has no leader: a broker is away")
            }
            Self::Refused { .. } | Self::Stopped => self.to_string(),
        }
    }

    fn can_heal(&self) -> bool {
        match self {
            Self::NoBroker { source, words, .. } => can_heal(source) && words.can_heal(),
            Self::NoTopic { .. } | Self::NoLeader { .. } => true,
            Self::Refused { code, .. } => code_can_heal(*code),
            Self::Stopped => false,
        }
    }
}

/// An error of a request with what the client has said of its connections.
#[must_use]
pub fn said(error: &KafkaError, words: &Words) -> String {
    words.last().map_or_else(|| error.to_string(), |words| format!("{error}: {words}"))
}

/// All topics of the cluster that have a leader for each partition, with their number of partitions. Creates none.
///
/// # Errors
/// Of the request, after `timeout`.
pub fn topics<C: ClientContext>(client: &Client<C>, timeout: Duration) -> KafkaResult<BTreeMap<String, i32>> {
    usable(client.fetch_metadata(None, timeout)?.topics())
}

fn usable(topics: &[MetadataTopic]) -> KafkaResult<BTreeMap<String, i32>> {
    let is_usable = |topic: &&MetadataTopic| {
        topic.error().is_none() && !topic.partitions().is_empty() && without_leader(topic).is_none()
    };
    topics
        .iter()
        .filter(is_usable)
        .map(|topic| Ok((topic.name().to_owned(), count(topic.partitions().len())?)))
        .collect()
}

/// The first partition of a topic that has no leader.
fn without_leader(topic: &MetadataTopic) -> Option<i32> {
    topic.partitions().iter().find(|partition| partition.leader() < 0).map(|partition| partition.id())
}

fn count(partitions: usize) -> KafkaResult<i32> {
    i32::try_from(partitions).map_err(|_| KafkaError::MetadataFetch(RDKafkaErrorCode::BadMessage))
}

/// Looks whether Kafka answers within `limit` and has the topics; the number of partitions of all topics. `begun` is
/// when it was looked first, and `words` what its client says.
///
/// # Errors
/// [`WaitError`] says what is missing.
pub fn look_for_topics<C: ClientContext>(
    client: &Client<C>,
    wanted: &[&str],
    (begun, limit): (Instant, Duration),
    words: &Words,
) -> Result<BTreeMap<String, i32>, WaitError> {
    let away = |source| WaitError::NoBroker { waited: begun.elapsed(), source, words: words.clone() };
    let metadata = client.fetch_metadata(None, limit).map_err(away)?;
    words.forget();
    let found = usable(metadata.topics()).map_err(away)?;
    let Some(topic) = wanted.iter().find(|name| !found.contains_key(**name)) else { return Ok(found) };
    let (topic, waited) = ((*topic).to_owned(), begun.elapsed());
    let seen = metadata.topics().iter().find(|seen| seen.name() == topic);
    if let Some(partition) = seen.and_then(without_leader) {
        return Err(WaitError::NoLeader { topic, partition, waited });
    }
    // One that this client may not describe is left out of the list, and named only to who asks for it.
    let asked = client.fetch_metadata(Some(&topic), limit).map_err(away)?;
    let error = asked.topics().iter().find_map(MetadataTopic::error).map(RDKafkaErrorCode::from);
    match error.filter(|code| !code_can_heal(*code)) {
        Some(code) => Err(WaitError::Refused { topic, code }),
        None => Err(WaitError::NoTopic { topic, waited }),
    }
}

/// Waits until Kafka answers and has the topics, for at most `limit`; their number of partitions, among all topics.
///
/// # Errors
/// [`WaitError`] says what is missing.
pub fn wait_for_topics<C: ClientContext>(
    client: &Client<C>,
    wanted: &[&str],
    limit: Duration,
    stop: &CancellationToken,
) -> Result<BTreeMap<String, i32>, WaitError> {
    let begun = Instant::now();
    let said = RefCell::new(String::new());
    let tell = |obstacle: &dyn Obstacle| {
        let waiting_for = obstacle.waiting_for();
        if *said.borrow() != waiting_for {
            tracing::info!("waiting: {waiting_for}");
            said.replace(waiting_for);
        }
    };
    let words = Words::default();
    let attempts = Attempts::new(begun.checked_add(limit), stop, &tell);
    let found = attempts.until_done(|left| look_for_topics(client, wanted, (begun, left), &words));
    found?.ok_or(WaitError::Stopped)
}
