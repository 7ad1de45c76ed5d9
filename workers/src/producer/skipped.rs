//! Records that Kafka deleted before the consumers of the Pipeline had read them.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    error::KafkaResult,
};

use super::{arguments::TestArgs, session::on_thread};
use crate::kafka::{committed, topics};

/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// Reads what the groups of the Pipeline have counted.
pub struct Skipped {
    groups: Arc<Vec<Group>>,
}

struct Group {
    reader: BaseConsumer,
    topics: Vec<String>,
}

impl Skipped {
    /// Of the groups that are to be watched; of none if Kafka's client cannot be set up.
    pub fn new(args: &TestArgs) -> Self {
        let (images, answers) = (&args.cluster.images_topic, &args.cluster.inferences_topic);
        let watched = [
            (&args.inference_group, vec![images.clone()]),
            (&args.archive_group, vec![images.clone(), answers.clone()]),
        ];
        let groups = watched.into_iter().filter_map(|(group, topics)| Some((group.as_ref()?, topics)));
        let groups = groups.map(|(group, topics)| {
            let mut config = args.cluster.client();
            let reader = config.set("group.id", group).set("enable.auto.commit", "false").create()?;
            Ok(Group { reader, topics })
        });
        let groups = groups.collect::<KafkaResult<Vec<_>>>().unwrap_or_else(|error| {
            tracing::warn!("what the Pipeline's groups skip is not known: {error}");
            Vec::new()
        });
        Self { groups: Arc::new(groups) }
    }

    /// How many more there are after than before: those of the group that has more. A record that both have missed
    /// counts once.
    pub fn between(before: Option<Vec<u64>>, after: Option<Vec<u64>>) -> Option<u64> {
        after?.into_iter().zip(before?).map(|(after, before)| after.saturating_sub(before)).max()
    }

    /// How many they are up to now, by group; none if there is no group to watch, or Kafka does not say.
    pub async fn count(&self) -> Option<Vec<u64>> {
        let groups = self.groups.clone();
        if groups.is_empty() {
            return None;
        }
        let counted = on_thread("skipped", move || groups.iter().map(Group::count).collect::<KafkaResult<_>>()).await;
        match counted {
            Ok(Ok(count)) => Some(count),
            Ok(Err(error)) => {
                tracing::warn!("what the Pipeline's groups have skipped is not known: {error}");
                None
            }
            Err(error) => {
                tracing::warn!("{error:#}");
                None
            }
        }
    }
}

impl Group {
    fn count(&self) -> KafkaResult<u64> {
        let partitions = topics(self.reader.client(), REQUEST_LIMIT)?;
        let of_topic = self.topics.iter().filter_map(|topic| Some((topic, *partitions.get(topic)?)));
        let counts = of_topic.map(|(topic, partitions)| {
            let numbers: Vec<_> = (0..partitions).collect();
            Ok(committed(&self.reader, topic, &numbers, REQUEST_LIMIT)?
                .values()
                .map(|committed| committed.skipped)
                .sum::<u64>())
        });
        counts.sum()
    }
}
