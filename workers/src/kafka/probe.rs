//! A light look, again and again, at what a member of a group needs: Kafka, the topics, their partitions and codecs.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use futures::executor::block_on;
use rdkafka::{
    admin::{AdminClient, AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
};
use tokio_util::sync::CancellationToken;

use super::{Consuming, Progress, StartFrom, codecs, is_readable, log_dirs, start, topics};
use crate::readiness::{Part, Readiness, Reason, Trouble};

/// How often the end of the process and the age of the oldest record are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often the topics are looked at.
const TOPICS_INTERVAL: Duration = Duration::from_secs(10);
/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// The setting of a topic that says how its records are compressed.
const COMPRESSION: &str = "compression.type";

/// Looks at Kafka for as long as a process runs.
pub struct Probe {
    consuming: Consuming,
    readiness: Readiness,
    progress: Progress,
    /// Reads the offsets of the group, and is no member of it.
    reader: BaseConsumer,
    admin: AdminClient<DefaultClientContext>,
    /// Since when something is wrong with the topics.
    wrong_since: Option<Instant>,
    /// A topic whose codec this build cannot read.
    codec: Option<Trouble>,
    /// When settings and volume are looked at next.
    due: Instant,
}

impl Probe {
    /// Looks on a thread of its own until `stop` is cancelled.
    ///
    /// # Errors
    /// When Kafka's client or the thread cannot be set up.
    pub fn start(
        consuming: &Consuming,
        readiness: Readiness,
        progress: Progress,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut probe = Self {
            reader: reader(consuming)?,
            admin: consuming.cluster.client().create().context("cannot set up Kafka's client")?,
            consuming: consuming.clone(),
            readiness,
            progress,
            wrong_since: None,
            codec: None,
            due: Instant::now(),
        };
        let run = move || {
            let mut due = Instant::now();
            while !stop.is_cancelled() {
                if Instant::now() >= due {
                    probe.look();
                    due = Instant::now() + TOPICS_INTERVAL.min(probe.consuming.trouble_after.get());
                }
                probe.progress.show_age();
                thread::sleep(TICK);
            }
        };
        thread::Builder::new().name("probe".into()).spawn(run).context("the thread of the probe cannot be started")?;
        Ok(())
    }

    fn look(&mut self) {
        let wrong = self.topics();
        if wrong.is_none() {
            self.now_and_then();
            if let Err(error) = self.progress.show_lag(&self.reader) {
                tracing::debug!("the lag is not known: {error}");
            }
        }
        self.wrong_since = wrong.as_ref().map(|_| self.wrong_since.unwrap_or_else(Instant::now));
        let lasts = self.wrong_since.is_some_and(|since| since.elapsed() >= self.consuming.trouble_after.get());
        match wrong {
            Some(wrong) if lasts => self.readiness.trouble(Part::Topics, wrong),
            // Not for long yet: what was said before stays.
            Some(_) => {}
            None => self.readiness.set(Part::Topics, self.codec.clone()),
        }
    }

    /// What is wrong with Kafka or the topics.
    fn topics(&self) -> Option<Trouble> {
        let found = match topics(self.reader.client(), REQUEST_LIMIT) {
            Ok(found) => found,
            Err(error) => {
                let servers = &self.consuming.cluster.bootstrap_servers;
                return Some(Trouble::new(Reason::NoBroker, format!("Kafka at {servers} does not answer: {error}")));
            }
        };
        self.consuming.wanted().into_iter().find_map(|(name, wanted)| match found.get(name) {
            None => Some(Trouble::new(
                Reason::TopicMissing,
                format!(
                    "Kafka has no topic {name} with a leader for each partition: it was deleted, a broker is away, or \
                     this client may not describe it"
                ),
            )),
            Some(partitions) if *partitions < wanted => Some(Trouble::new(
                Reason::TooFewPartitions,
                format!("the topic {name} has {partitions} partitions, and {wanted} are wanted"),
            )),
            Some(_) => None,
        })
    }

    /// What is looked at every few minutes; each time while there is trouble, so that its end is seen.
    fn now_and_then(&mut self) {
        if Instant::now() < self.due && self.codec.is_none() {
            return;
        }
        self.due = Instant::now() + self.consuming.probe_interval.get();
        self.look_at_codecs();
        if self.consuming.broker_volume {
            match log_dirs::volume(&self.consuming.cluster.bootstrap_servers) {
                Ok(volume) => self.readiness.volume("kafka", volume),
                Err(error) => tracing::warn!("how full the broker's volume is is not known: {error}"),
            }
        }
    }

    fn look_at_codecs(&mut self) {
        let topics = self.consuming.cluster.topics().map(ResourceSpecifier::Topic);
        let options = AdminOptions::new().request_timeout(Some(REQUEST_LIMIT));
        match block_on(self.admin.describe_configs(&topics, &options)) {
            Ok(found) => {
                let topics = found.into_iter().flatten();
                self.codec = topics.filter_map(|topic| unreadable(&topic)).next();
            }
            // Who may not describe a topic's settings may read it all the same.
            Err(error) => tracing::debug!("the settings of the topics are not known: {error}"),
        }
    }
}

/// What is wrong with the codec of a topic.
fn unreadable(topic: &ConfigResource) -> Option<Trouble> {
    let OwnedResourceSpecifier::Topic(name) = &topic.specifier else { return None };
    let codec = topic.get(COMPRESSION)?.value.as_deref().filter(|codec| !is_readable(codec))?;
    let message = format!(
        "the topic {name} has {COMPRESSION}={codec}, which this build cannot read: set it to producer, uncompressed or \
         one of {}",
        codecs()
    );
    Some(Trouble::new(Reason::UnsupportedCodec, message))
}

fn reader(consuming: &Consuming) -> anyhow::Result<BaseConsumer> {
    let mut config = consuming.cluster.client();
    config.set("group.id", &consuming.group).set("enable.auto.commit", "false");
    config.create().context("cannot set up Kafka's client")
}

/// What must be done before a member joins: a group that is to begin with what comes from now on is given its place, so
/// that whatever happens to its members from then on, they find it again.
///
/// # Errors
/// When Kafka's client cannot be set up.
pub fn before_joining(consuming: &Consuming, topics: &[&str], stop: &CancellationToken) -> anyhow::Result<()> {
    if consuming.start_from == StartFrom::Latest {
        start::at_the_end(&reader(consuming)?, &consuming.group, topics, stop);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rdkafka::admin::{ConfigEntry, ConfigSource};

    use super::*;

    fn topic(compression: &str) -> ConfigResource {
        let entry = ConfigEntry {
            name: COMPRESSION.to_owned(),
            value: Some(compression.to_owned()),
            source: ConfigSource::DynamicTopic,
            is_read_only: false,
            is_default: false,
            is_sensitive: false,
        };
        ConfigResource { specifier: OwnedResourceSpecifier::Topic("iot_images".to_owned()), entries: vec![entry] }
    }

    #[test]
    fn a_codec_of_a_later_kafka_is_named_with_what_to_set_instead() {
        for codec in ["brotli", "lzma"] {
            let trouble = unreadable(&topic(codec)).unwrap();
            assert_eq!(trouble.reason, Reason::UnsupportedCodec);
            let wanted =
                format!("the topic iot_images has compression.type={codec}, which this build cannot read: set");
            assert!(trouble.message.starts_with(&wanted), "{}", trouble.message);
        }
        for codec in ["producer", "uncompressed", "zstd"] {
            assert_eq!(unreadable(&topic(codec)), None);
        }
    }
}
