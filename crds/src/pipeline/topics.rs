//! The topics of a Pipeline.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// The topics of a Pipeline.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(validation = rules::different_topics())]
#[serde(rename_all = "camelCase")]
pub struct Topics {
    /// The topic of images, read by the classifier. Defaults to iot_images with 12 partitions.
    #[serde(default)]
    pub images: ImagesTopic,
    /// The topic of answers, read by the producers, each of which reads one partition. Defaults to inferences with 12
    /// partitions.
    #[serde(default)]
    pub inferences: InferencesTopic,
    /// The dead letter topic, for records that cannot be decoded. Defaults to iot_images.dlq, with one partition.
    #[serde(default)]
    pub dead_letter: DeadLetterTopic,
}

fn images_topic() -> String {
    "iot_images".into()
}

fn inferences_topic() -> String {
    "inferences".into()
}

fn dead_letter_topic() -> String {
    "iot_images.dlq".into()
}

fn twelve() -> i32 {
    12
}

macro_rules! topic_with_partitions {
    ($(#[$doc:meta])* $name:ident, $default_fn:literal, $default:expr) => {
        $(#[$doc])*
        #[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
        #[x_kube(validation = Rule::new("self.partitions >= oldSelf.partitions || self.name != oldSelf.name")
            .message("Kafka cannot lower the partitions of a topic: write the old number or a higher one, or name a new topic"))]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            /// The name of the topic, of at most 249 characters. Defaults to iot_images for images, and to inferences for answers.
            #[serde(default = $default_fn)]
            #[schemars(length(min = 1, max = 249))]
            #[x_kube(validation = rules::name_of_topic())]
            pub name: String,
            /// The number of partitions, from 1 to 1000. It cannot be decreased. Defaults to 12.
            #[serde(default = "twelve")]
            #[x_kube(validation = Rule::new("self >= 1 && self <= 1000").message("write a number of partitions from 1 to 1000"))]
            pub partitions: i32,
        }

        impl Default for $name {
            fn default() -> Self {
                Self { name: $default, partitions: twelve() }
            }
        }
    };
}

topic_with_partitions!(
    /// The topic of the images.
    ImagesTopic,
    "images_topic",
    images_topic()
);
topic_with_partitions!(
    /// The topic of the answers.
    InferencesTopic,
    "inferences_topic",
    inferences_topic()
);

/// The dead letter topic.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterTopic {
    /// The name of the topic, of at most 249 characters. Defaults to iot_images.dlq.
    #[serde(default = "dead_letter_topic")]
    #[schemars(length(min = 1, max = 249))]
    #[x_kube(validation = rules::name_of_topic())]
    pub name: String,
}

impl Default for DeadLetterTopic {
    fn default() -> Self {
        Self { name: dead_letter_topic() }
    }
}
