//! The labels by which the operator's objects are found, and who may reach them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// The Pipeline that an object is part of or, for a producer, that it sends to.
pub const PIPELINE: &str = "tailrace.dev/pipeline";
/// The LoadTest that an object is part of.
pub const LOAD_TEST: &str = "tailrace.dev/load-test";
/// The Experiment that a LoadTest was made by.
pub const EXPERIMENT: &str = "tailrace.dev/experiment";
/// The round of the Experiment that a LoadTest was made in.
pub const ROUND: &str = "tailrace.dev/round";
/// Who made an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of that label on all that the operator makes.
pub const OPERATOR: &str = "tailrace-operator";
/// The part that an object plays.
pub const COMPONENT: &str = "app.kubernetes.io/component";

/// An annotation of what the operator has made: a digest of what it asked for when it did.
pub const ASKED_FOR: &str = "tailrace.dev/applied";

/// Selects what the operator has made.
pub const MADE_HERE: &str = "app.kubernetes.io/managed-by=tailrace-operator";

/// What a pod does in a Pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// The managed broker.
    Kafka,
    /// The managed database.
    Database,
    /// The classifier between the topics of a Pipeline whose topology is Fused.
    Inference,
    /// The classifier behind HTTP of a Pipeline whose topology is Split.
    InferenceServer,
    /// The bridge from Kafka to that server.
    InferenceConsumer,
    /// The db-consumer.
    Archive,
    /// The Job that makes the topics.
    Topics,
    /// The Job that sends one image through.
    Check,
    /// The Job that deletes the documents of a LoadTest.
    Documents,
    /// The load of a LoadTest.
    Producer,
}

impl Component {
    /// Whether its pods run `tailrace-worker`.
    pub fn is_worker(self) -> bool {
        !matches!(self, Self::Kafka | Self::Database)
    }

    /// The value of the label, which is also the end of an object's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Database => "database",
            Self::Inference => "inference",
            Self::InferenceServer => "inference-server",
            Self::InferenceConsumer => "inference-consumer",
            Self::Archive => "archive",
            Self::Topics => "topics",
            Self::Check => "check",
            Self::Documents => "documents",
            Self::Producer => "producer",
        }
    }
}

/// The labels of an object of `component`; `instance` is the resource that it was made for.
pub fn of(instance: &str, component: Component) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", "tailrace"),
        ("app.kubernetes.io/instance", instance),
        (MANAGED_BY, OPERATOR),
        (COMPONENT, component.as_str()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// The labels of an object of `component` that belongs to the Pipeline of that name.
pub fn of_pipeline(pipeline: &str, component: Component) -> BTreeMap<String, String> {
    let mut labels = of(pipeline, component);
    labels.insert(PIPELINE.into(), pipeline.into());
    labels
}

/// Selects the pods of one component of a Pipeline.
pub fn select(pipeline: &str, component: Component) -> LabelSelector {
    let labels = [(PIPELINE, pipeline), (COMPONENT, component.as_str())];
    LabelSelector {
        match_labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        ..LabelSelector::default()
    }
}
