//! Whether this process can do its work, why not, and what else it says of itself.
//!
//! Each part of a process speaks for itself: the process is ready when no part is in trouble. `/readyz`, `/state`, the
//! log and, on Kubernetes, the status of the Pipeline all say the same.

mod report;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use tailrace_crds::pipeline::{SkippedRecords, VolumeUse, WorkerStatus};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use report::Reporting;

/// A volume that is this much fuller or emptier, in parts of its size or of what was used, is worth a word.
const WORTH_A_WORD: i64 = 100;

/// What can be in trouble, most important first: the sentence of the first one is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Kafka and its topics.
    Topics,
    /// Reading from the topics.
    Reading,
    /// The database.
    Database,
    /// Being a member of the group, or whatever else must happen once.
    Start,
}

/// Why a process is not ready, in one word; `status.workers` of a Pipeline has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is ready.
    Ready,
    /// It has only begun.
    Starting,
    /// It was asked to stop.
    Stopping,
    /// No broker answers.
    NoBroker,
    /// A topic is missing or has no leader.
    TopicMissing,
    /// A topic has fewer partitions than wanted.
    TooFewPartitions,
    /// Records are compressed in a way that this build cannot read.
    UnsupportedCodec,
    /// Kafka refuses the topic or the group.
    NotAuthorized,
    /// A record cannot be read.
    CorruptRecord,
    /// Another error of Kafka's client.
    ConsumerError,
    /// The database does not take documents.
    DatabaseAway,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What is wrong with a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In one word.
    pub reason: Reason,
    /// In a sentence that stays the same while nothing changes.
    pub message: String,
}

impl Trouble {
    /// A reason with its sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// The metric `tailrace_trouble`: 1 for each reason for which the process is not ready.
impl Collector for Readiness {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "1 while the process is not ready for this reason; no series while it is ready";
        let mut trouble = encoder.encode_descriptor("tailrace_trouble", help, None, MetricType::Gauge)?;
        let stopping = self.stop.is_cancelled().then_some(Reason::Stopping);
        let reasons: BTreeSet<_> =
            self.lock().troubles.values().map(|trouble| trouble.reason).chain(stopping).collect();
        for reason in reasons {
            ConstGauge::new(1_i64).encode(trouble.encode_family(&[("reason", reason.to_string())])?)?;
        }
        Ok(())
    }
}

/// What a process says of itself; clones say the same.
#[derive(Clone, Debug)]
pub struct Readiness {
    known: Arc<Mutex<Known>>,
    changed: watch::Sender<()>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Known {
    troubles: BTreeMap<Part, Trouble>,
    since: Timestamp,
    skipped: Option<(u64, Timestamp)>,
    volumes: BTreeMap<String, VolumeUse>,
}

impl Known {
    fn says(&self) -> Trouble {
        self.troubles.values().next().cloned().unwrap_or_else(|| Trouble::new(Reason::Ready, "ready"))
    }
}

impl Readiness {
    /// Not ready before [`Part::Start`] is fine, and never again once `stop` is cancelled.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        let starting = Trouble::new(Reason::Starting, "it has only started");
        let known = Known {
            troubles: BTreeMap::from([(Part::Start, starting)]),
            since: Timestamp::now(),
            skipped: None,
            volumes: BTreeMap::new(),
        };
        Self { known: Arc::new(Mutex::new(known)), changed: watch::Sender::new(()), stop }
    }

    /// This part is in trouble from now on.
    pub fn trouble(&self, part: Part, trouble: Trouble) {
        self.change(|known| drop(known.troubles.insert(part, trouble)));
    }

    /// This part is in no trouble any more.
    pub fn fine(&self, part: Part) {
        self.change(|known| drop(known.troubles.remove(&part)));
    }

    /// Either of the two.
    pub fn set(&self, part: Part, trouble: Option<Trouble>) {
        match trouble {
            Some(trouble) => self.trouble(part, trouble),
            None => self.fine(part),
        }
    }

    /// Kafka deleted so many records before they could be read.
    pub fn skipped(&self, records: u64) {
        let mut known = self.lock();
        let before = known.skipped.map_or(0, |(records, _)| records);
        known.skipped = Some((before + records, Timestamp::now()));
        drop(known);
        self.changed.send_replace(());
    }

    /// How full a volume is now.
    pub fn volume(&self, name: &str, now: VolumeUse) {
        let mut known = self.lock();
        let whole = now.capacity_bytes.unwrap_or(now.used_bytes).max(WORTH_A_WORD);
        let worth_a_word = known.volumes.get(name).is_none_or(|before| {
            before.capacity_bytes != now.capacity_bytes
                || (before.used_bytes - now.used_bytes).abs() >= whole / WORTH_A_WORD
        });
        if worth_a_word {
            known.volumes.insert(name.to_owned(), now);
            drop(known);
            self.changed.send_replace(());
        }
    }

    /// Why this process cannot do its work now; none if it can.
    #[must_use]
    pub fn why_not(&self) -> Option<Trouble> {
        if self.stop.is_cancelled() {
            return Some(Trouble::new(Reason::Stopping, "it is shutting down"));
        }
        self.lock().troubles.values().next().cloned()
    }

    /// All of it, as `status.workers` of a Pipeline has it.
    #[must_use]
    pub fn status(&self, component: &str) -> WorkerStatus {
        let trouble = self.why_not();
        let known = self.lock();
        let says = trouble.clone().unwrap_or_else(|| known.says());
        WorkerStatus {
            component: component.to_owned(),
            ready: trouble.is_none(),
            reason: says.reason.to_string(),
            message: says.message,
            since: Time(known.since),
            skipped: known.skipped.map(|(records, last)| SkippedRecords {
                records: i64::try_from(records).unwrap_or(i64::MAX),
                last_time: Time(last),
            }),
            volumes: known.volumes.clone(),
        }
    }

    /// The log says once what is different.
    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.lock();
        let before = known.says();
        change(&mut known);
        let now = known.says();
        if before == now {
            return;
        }
        known.since = Timestamp::now();
        drop(known);
        match now.reason {
            Reason::Ready => tracing::info!("ready"),
            _ => tracing::warn!("not ready: {}", now.message),
        }
        self.changed.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    fn missing(topic: &str) -> Trouble {
        Trouble::new(Reason::TopicMissing, format!("no topic {topic}"))
    }

    #[test]
    fn a_process_is_ready_when_no_part_is_in_trouble_and_says_the_most_important_one() {
        let readiness = Readiness::new(CancellationToken::new());
        assert_eq!(readiness.why_not().map(|trouble| trouble.reason), Some(Reason::Starting));
        readiness.trouble(Part::Topics, missing("a"));
        assert_eq!(readiness.why_not(), Some(missing("a")));
        readiness.fine(Part::Start);
        readiness.trouble(Part::Database, Trouble::new(Reason::DatabaseAway, "away"));
        readiness.fine(Part::Topics);
        assert_eq!(readiness.status("archive").message, "away");
        readiness.fine(Part::Database);
        assert_eq!(readiness.why_not(), None);
        assert_eq!(readiness.status("archive").reason, "Ready");
    }

    #[test]
    fn every_reason_for_not_being_ready_is_a_series() {
        let readiness = Readiness::new(CancellationToken::new());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(readiness.clone()));
        let series = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(series(), [r#"tailrace_trouble{reason="Starting"} 1"#]);
        readiness.trouble(Part::Topics, missing("a"));
        readiness.trouble(Part::Reading, Trouble::new(Reason::UnsupportedCodec, "lzma"));
        readiness.fine(Part::Start);
        let both = [r#"tailrace_trouble{reason="TopicMissing"} 1"#, r#"tailrace_trouble{reason="UnsupportedCodec"} 1"#];
        assert_eq!(series(), both);
        readiness.fine(Part::Topics);
        readiness.fine(Part::Reading);
        assert!(series().is_empty());
    }

    #[test]
    fn nothing_is_ready_once_it_was_asked_to_stop() {
        let stop = CancellationToken::new();
        let readiness = Readiness::new(stop.clone());
        readiness.fine(Part::Start);
        stop.cancel();
        assert_eq!(readiness.status("inference").reason, "Stopping");
    }

    #[test]
    fn only_a_change_is_news() {
        let readiness = Readiness::new(CancellationToken::new());
        let mut news = readiness.changed.subscribe();
        let mut is_news = || std::mem::replace(&mut news, readiness.changed.subscribe()).has_changed().unwrap();
        readiness.trouble(Part::Topics, missing("a"));
        assert!(is_news());
        readiness.trouble(Part::Topics, missing("a"));
        assert!(!is_news());
        readiness.volume("kafka", VolumeUse { used_bytes: 500, capacity_bytes: Some(1000) });
        assert!(is_news());
        readiness.volume("kafka", VolumeUse { used_bytes: 509, capacity_bytes: Some(1000) });
        assert!(!is_news());
        readiness.skipped(3);
        assert!(is_news());
        assert_eq!(readiness.status("inference").skipped.map(|skipped| skipped.records), Some(3));
    }
}
