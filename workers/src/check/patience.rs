//! How long a step of the check is waited for.

use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::consumer::BaseConsumer;

use crate::kafka::{Cluster, committed};

/// How often it is looked at how many records are ahead.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How long Kafka may take to say it.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// A record.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

/// The time that a step may take: it begins anew whenever the group that does it gets on.
pub struct Patience {
    /// Reads the offsets of the group, and is no member of it.
    group: Option<BaseConsumer>,
    place: Option<Place>,
    limit: Duration,
    /// When all of the check must be over.
    end: Instant,
    got_on: Instant,
    looked: Instant,
    ahead: Option<i64>,
}

impl Patience {
    /// Without a group, only the time counts.
    ///
    /// # Errors
    /// When Kafka's client cannot be set up.
    pub fn new(cluster: &Cluster, group: Option<&str>, limit: Duration, end: Instant) -> anyhow::Result<Self> {
        let reader = |group: &str| {
            let mut config = cluster.client();
            config.set("group.id", group).set("enable.auto.commit", "false").create()
        };
        let group = group.map(reader).transpose().context("cannot set up Kafka's client")?;
        let now = Instant::now();
        Ok(Self { group, place: None, limit, end, got_on: now, looked: now, ahead: None })
    }

    /// The step is to get to this record.
    pub fn for_record(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    /// Whether it is still waited for.
    pub fn lasts(&mut self) -> bool {
        let now = Instant::now();
        if now.duration_since(self.looked) >= LOOK_INTERVAL {
            self.looked = now;
            let ahead = self.look();
            if ahead.is_some() && ahead != self.ahead {
                self.got_on = now;
                self.ahead = ahead;
                tracing::info!("{} images are ahead of it", ahead.unwrap_or_default());
            }
        }
        now < self.end && now.duration_since(self.got_on) < self.limit
    }

    /// Why it is waited for no longer: how much is ahead, or else `otherwise`.
    pub fn why(&self, otherwise: &str) -> String {
        match self.ahead {
            Some(ahead) if ahead > 0 => format!("{ahead} images are ahead of it"),
            _ => otherwise.to_owned(),
        }
    }

    /// How many records are ahead; none if nobody says.
    fn look(&self) -> Option<i64> {
        let (group, Place { topic, partition, offset }) = (self.group.as_ref()?, self.place.as_ref()?);
        let committed = committed(group, topic, &[*partition], LOOK_LIMIT).ok()?;
        Some((offset - committed.get(partition)?.next?).max(0))
    }
}
