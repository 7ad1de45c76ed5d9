//! Other Pipelines on the same topics of the same brokers: each classifies what is the other's, too. Pure.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use kube::ResourceExt;
use tailrace_crds::Pipeline;

use super::build::{kafka::PORT, name_of};
use crate::{labels::Component, watch::Facts};

/// The other Pipelines with which this one shares topics, as sentences.
pub fn sharing<'a>(pipeline: &Pipeline, all: impl Iterator<Item = &'a Pipeline>) -> Vec<String> {
    let others = all.map(|other| (other, shared(pipeline, other))).filter(|(_, shared)| !shared.is_empty());
    let mut sentences: Vec<_> = others
        .map(|(other, shared)| {
            let (namespace, name) = (other.namespace().unwrap_or_default(), other.name_any());
            let what = if shared.len() == 1 { "topic" } else { "topics" };
            format!("Pipeline {namespace}/{name} uses the {what} {} of the same Kafka", shared.join(", "))
        })
        .collect();
    sentences.sort();
    sentences
}

/// A digest of each topic on each broker.
pub fn digests(pipeline: &Pipeline) -> Box<[u64]> {
    let topics = topics(pipeline);
    let digest = |topic: &String, broker: &String| {
        let mut hasher = DefaultHasher::new();
        (topic, broker).hash(&mut hasher);
        hasher.finish()
    };
    brokers(pipeline).iter().flat_map(|broker| topics.iter().map(move |topic| digest(topic, broker))).collect()
}

/// Whether a Pipeline with these digests may share a topic with another, or is that itself.
pub fn may_share(digests: &[u64], other: &Facts) -> bool {
    other.topics.iter().any(|topic| digests.contains(topic))
}

fn shared(one: &Pipeline, other: &Pipeline) -> Vec<String> {
    if one.metadata.uid == other.metadata.uid || brokers(one).is_disjoint(&brokers(other)) {
        return vec![];
    }
    topics(one).intersection(&topics(other)).cloned().collect()
}

fn topics(pipeline: &Pipeline) -> BTreeSet<String> {
    let topics = &pipeline.spec.topics;
    [&topics.images.name, &topics.inferences.name, &topics.dead_letter.name].into_iter().cloned().collect()
}

/// The addresses of its brokers, those of Services in the form `name.namespace.svc`.
fn brokers(pipeline: &Pipeline) -> BTreeSet<String> {
    let namespace = pipeline.namespace().unwrap_or_default();
    let addresses = match &pipeline.spec.kafka.external {
        Some(external) => external.bootstrap_servers.clone(),
        None => format!("{}:{PORT}", name_of(&pipeline.name_any(), Component::Kafka)),
    };
    addresses.split(',').map(|address| canonical(address.trim(), &namespace)).collect()
}

fn canonical(address: &str, namespace: &str) -> String {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let host = match host.split('.').collect::<Vec<_>>()[..] {
        [service] => format!("{service}.{namespace}.svc"),
        [service, namespace, "svc", ..] => format!("{service}.{namespace}.svc"),
        _ => host,
    };
    format!("{host}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(namespace: &str, name: &str, spec: &str) -> Pipeline {
        let yaml = format!(
            "{{apiVersion: tailrace.dev/v1alpha1, kind: Pipeline, metadata: {{name: {name}, namespace: {namespace}, \
              uid: {namespace}-{name}}}, spec: {spec}}}"
        );
        serde_yaml_ng::from_str(&yaml).unwrap()
    }

    fn external(servers: &str, topics: &str) -> String {
        format!("{{kafka: {{external: {{bootstrapServers: '{servers}'}}}}, topics: {{{topics}}}}}")
    }

    #[test]
    fn the_same_topics_of_the_same_brokers_are_told() {
        let first = pipeline("demo", "cifar", "{}");
        for servers in
            ["cifar-kafka:9092", "other:9092,cifar-kafka.demo.svc:9092", "cifar-kafka.demo.svc.cluster.local:9092"]
        {
            let second = pipeline("demo", "second", &external(servers, "inferences: {name: answers}"));
            let all = [first.clone(), second.clone()];
            assert_eq!(
                sharing(&second, all.iter()),
                ["Pipeline demo/cifar uses the topics iot_images, iot_images.dlq of the same Kafka"],
                "{servers}"
            );
            assert_eq!(sharing(&first, all.iter()).len(), 1, "{servers}");
        }
    }

    #[test]
    fn other_topics_and_other_brokers_are_nobodys_business() {
        let first = pipeline("demo", "cifar", &external("k:9092", ""));
        let other_topics = "images: {name: a}, inferences: {name: b}, deadLetter: {name: c}";
        for (namespace, spec) in [
            ("demo", external("k:9092", other_topics)),
            ("demo", external("k:9093", "")),
            ("elsewhere", external("k:9092", "")),
            ("demo", "{}".into()),
        ] {
            let second = pipeline(namespace, "second", &spec);
            assert!(sharing(&first, [&first, &second].into_iter()).is_empty(), "{spec}");
        }
    }
}
