//! Waiting until the classifier has nothing left to do.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
};

use crate::{
    attempts::{Attempts, Obstacle},
    kafka::{Cluster, WaitError, Words, can_heal, committed, look_for_topics, offsets, said},
};

/// A partition with more open offsets than this has records among them, unless their number stays the same.
const FEW: i64 = 16;
/// So many partitions are named.
const NAMED: usize = 3;
/// What the client says is read up to so many words at once.
const MOST_WORDS: usize = 32;

/// The classifier has not caught up.
#[derive(Debug, thiserror::Error)]
pub enum NotIdle {
    /// Images wait.
    #[error(
        "the consumer group {group} is still {} images behind on {topic} ({}): see whether the classifier runs",
        self.behind(), Named(lags)
    )]
    Behind {
        /// The classifier's group.
        group: String,
        /// The topic of the images.
        topic: String,
        /// The partitions that it has not read to the end.
        lags: Vec<Lag>,
    },
    /// Kafka or the topic went away meanwhile.
    #[error(transparent)]
    Away(#[from] WaitError),
    /// Kafka did not say.
    #[error("the lag of the consumer group {group} cannot be read: {}", said(source, words))]
    Unknown {
        /// The classifier's group.
        group: String,
        /// Why.
        source: KafkaError,
        /// What Kafka's client has said of its connections.
        words: Words,
    },
}

/// How far a group is in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The partition.
    pub partition: i32,
    /// The offset that the group reads next.
    pub next: i64,
    /// The offset that the next record will have.
    pub end: i64,
}

impl Lag {
    /// How many offsets are open.
    fn open(self) -> i64 {
        self.end - self.next
    }
}

/// The first few partitions, as `partition 3: offset 41 of 44`.
struct Named<'a>(&'a [Lag]);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_one = |lag: &Lag| format!("partition {}: offset {} of {}", lag.partition, lag.next, lag.end);
        write!(f, "{}", self.0.iter().take(NAMED).map(of_one).collect::<Vec<_>>().join(", "))?;
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

impl NotIdle {
    fn behind(&self) -> i64 {
        match self {
            Self::Behind { lags, .. } => lags.iter().map(|lag| lag.open()).sum(),
            Self::Away(_) | Self::Unknown { .. } => 0,
        }
    }
}

impl Obstacle for NotIdle {
    fn reason(&self) -> &'static str {
        match self {
            Self::Behind { .. } => "ConsumerLag",
            Self::Away(away) => away.reason(),
            Self::Unknown { .. } => "NoAnswer",
        }
    }

    fn waiting_for(&self) -> String {
        match self {
            Self::Away(away) => away.waiting_for(),
            Self::Behind { .. } | Self::Unknown { .. } => self.to_string(),
        }
    }

    fn can_heal(&self) -> bool {
        match self {
            Self::Behind { .. } => true,
            Self::Away(away) => away.can_heal(),
            Self::Unknown { source, words, .. } => can_heal(source) && words.can_heal(),
        }
    }
}

/// Waits until `group` has committed every image of the topic; none if asked to stop before.
///
/// # Errors
/// The state at the deadline.
pub fn wait_until_idle(cluster: &Cluster, group: &str, attempts: &Attempts<'_>) -> Result<Option<()>, NotIdle> {
    let words = Words::default();
    let unknown = |source| NotIdle::Unknown { group: group.to_owned(), source, words: words.clone() };
    let mut looking = Looking::new(cluster, group, words.clone()).map_err(unknown)?;
    let (begun, topic) = (Instant::now(), &cluster.images_topic);
    attempts.until_done(|limit| {
        looking.listen();
        let partitions = look_for_topics(looking.reader.client(), &[topic], (begun, limit), &words)?[topic];
        let lags = looking.lags(partitions, limit).map_err(unknown)?;
        if lags.is_empty() {
            return Ok(());
        }
        Err(NotIdle::Behind { group: group.to_owned(), topic: topic.clone(), lags })
    })
}

/// Looks at the lag of a group, without being a member of it.
struct Looking {
    topic: String,
    /// Reads the group's offsets.
    reader: BaseConsumer<Words>,
    /// Reads records, once it must be known whether there are any.
    records: OnceCell<BaseConsumer>,
    /// Its settings.
    config: ClientConfig,
    words: Words,
    /// The open offsets that were seen last, by partition.
    before: BTreeMap<i32, Lag>,
}

impl Looking {
    fn new(cluster: &Cluster, group: &str, words: Words) -> KafkaResult<Self> {
        let mut config = cluster.client();
        config.set("group.id", group).set("enable.auto.commit", "false").set("fetch.wait.max.ms", "10");
        let reader = config.create_with_context(words.clone())?;
        config.set("enable.partition.eof", "true");
        let (topic, records) = (cluster.images_topic.clone(), OnceCell::new());
        Ok(Self { topic, reader, records, config, words, before: BTreeMap::new() })
    }

    /// What the client says of its connections is taken from it by polling. No record comes, since nothing is assigned.
    fn listen(&self) {
        for _ in 0..MOST_WORDS {
            if self.reader.poll(Duration::ZERO).is_none() {
                break;
            }
        }
    }

    /// Where the group has records to read.
    fn lags(&mut self, partitions: i32, limit: Duration) -> KafkaResult<Vec<Lag>> {
        let mut lags = self.open(&(0..partitions).collect::<Vec<_>>(), limit)?;
        self.words.forget();
        let before = std::mem::replace(&mut self.before, lags.iter().map(|lag| (lag.partition, *lag)).collect());
        let doubtful = |lag: &Lag| lag.open() <= FEW || before.get(&lag.partition) == Some(lag);
        let doubtful: Vec<_> = lags.iter().filter(|lag| doubtful(lag)).copied().collect();
        if !doubtful.is_empty() {
            let empty = self.without_records(&doubtful, limit);
            lags.retain(|lag| !empty.contains(&lag.partition));
        }
        Ok(lags)
    }

    /// The partitions whose end is beyond what the group has committed.
    fn open(&self, partitions: &[i32], limit: Duration) -> KafkaResult<Vec<Lag>> {
        let committed = committed(&self.reader, &self.topic, partitions, limit)?;
        let begins = offsets(&self.reader, &self.topic, partitions, Offset::Beginning, limit)?;
        let ends = offsets(&self.reader, &self.topic, partitions, Offset::End, limit)?;
        let lags = ends.into_iter().map(|(partition, end)| {
            let begin = begins.get(&partition).copied().unwrap_or_default();
            let next = committed.get(&partition).and_then(|committed| committed.next).unwrap_or(begin).max(begin);
            Lag { partition, next, end }
        });
        Ok(lags.filter(|lag| lag.open() > 0).collect())
    }

    /// The partitions in which nothing but markers of transactions, and what was aborted, follows on what the group has
    /// committed: these occupy offsets that no consumer can commit. Where it is not known, there may be records.
    fn without_records(&self, lags: &[Lag], limit: Duration) -> BTreeSet<i32> {
        let looked = self.look_at_records(lags, limit);
        looked.unwrap_or_else(|error| {
            tracing::debug!("whether {} has records is not known: {error}", self.topic);
            BTreeSet::new()
        })
    }

    fn look_at_records(&self, lags: &[Lag], limit: Duration) -> KafkaResult<BTreeSet<i32>> {
        let mut assignment = TopicPartitionList::with_capacity(lags.len());
        for lag in lags {
            assignment.add_partition_offset(&self.topic, lag.partition, Offset::Offset(lag.next))?;
        }
        let records = match self.records.get() {
            Some(records) => records,
            None => {
                let made = self.config.create()?;
                self.records.get_or_init(|| made)
            }
        };
        records.assign(&assignment)?;
        let (mut unknown, mut empty) = (lags.iter().map(|lag| lag.partition).collect::<BTreeSet<_>>(), BTreeSet::new());
        let deadline = Instant::now() + limit;
        while !unknown.is_empty() {
            match records.poll(deadline.saturating_duration_since(Instant::now())) {
                Some(Ok(record)) => drop(unknown.remove(&record.partition())),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if unknown.remove(&partition) {
                        empty.insert(partition);
                    }
                }
                Some(Err(error)) if can_heal(&error) => {}
                Some(Err(error)) => return Err(error),
                None => break,
            }
        }
        records.unassign()?;
        Ok(empty)
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;

    #[test]
    fn a_lag_is_said_with_partitions_and_offsets() {
        let lags = (0..5).map(|partition| Lag { partition, next: 40, end: 42 + i64::from(partition) }).collect();
        let behind = NotIdle::Behind { group: "g".to_owned(), topic: "t".to_owned(), lags };
        assert_eq!(
            behind.to_string(),
            "the consumer group g is still 20 images behind on t (partition 0: offset 40 of 42, partition 1: offset 40 \
             of 43, partition 2: offset 40 of 44, and 2 more): see whether the classifier runs"
        );
    }

    #[test]
    fn only_a_refusal_ends_the_waiting() {
        let unknown = |code| NotIdle::Unknown {
            group: "g".to_owned(),
            source: KafkaError::OffsetFetch(code),
            words: Words::default(),
        };
        assert!(unknown(RDKafkaErrorCode::CoordinatorLoadInProgress).can_heal());
        assert!(!unknown(RDKafkaErrorCode::GroupAuthorizationFailed).can_heal());
    }
}
