//! A single Apache Kafka broker in KRaft mode, from the official image.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Container, ContainerPort, Probe},
};
use sha2::{Digest, Sha256};

use super::{
    network::service_host,
    pods,
    stateful_set::{accepts_connections, stateful_set},
};
use crate::{
    labels::Component,
    pipeline::{
        disk::TopicDisk,
        validate::{Kafka, Validated},
    },
    settings::Images,
};

/// Where clients connect.
pub const PORT: i32 = 9092;
/// `appuser` of the official image.
const USER: i64 = 1000;
const DATA: &str = "/var/lib/kafka/data";

/// The broker's own log, on standard output alone: files would fill the pod's scratch volume.
const LOGGING: &str = "\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}] %p %m (%c)%n
logger.configuration.name = org.apache.kafka.common.config.AbstractConfig
logger.configuration.level = WARN
";

/// Formats the volume where that has not been done (`meta.properties` is the last file that it writes), and becomes
/// the broker.
const START: &str = "\
set -eu
cd /tmp
echo \"$LOGGING\" >log4j2.properties
echo \"$SERVER_PROPERTIES\" >server.properties
[ -e /var/lib/kafka/data/log/meta.properties ] ||
\t/opt/kafka/bin/kafka-storage.sh format --ignore-formatted --cluster-id \"$CLUSTER_ID\" --config server.properties
exec /opt/kafka/bin/kafka-server-start.sh server.properties
";

/// `host:port` of the Kafka of a Pipeline, managed or not.
pub fn bootstrap_servers(pipeline: &Validated) -> String {
    match &pipeline.kafka {
        Kafka::Managed { .. } => format!("{}:{PORT}", service_host(pipeline, Component::Kafka)),
        Kafka::External { bootstrap_servers } => bootstrap_servers.clone(),
    }
}

fn server_properties(pipeline: &Validated, disk: &TopicDisk) -> String {
    let host = service_host(pipeline, Component::Kafka);
    let TopicDisk { segment, retention } = disk;
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:9093
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://:{PORT},CONTROLLER://localhost:9093
advertised.listeners=PLAINTEXT://{host}:{PORT}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={DATA}/log

# Topics are made by the Pipeline; a group starts without waiting for more members.
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
# By the consumer protocol (KIP-848) the members of a group learn of a change within a second, and one that says nothing
# for ten counts as dead: as by the classic protocol, where members say so themselves.
group.consumer.min.heartbeat.interval.ms=1000
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.session.timeout.ms=10000
group.consumer.session.timeout.ms=10000

# One broker keeps the only replica.
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4

# All partitions at their fullest leave room on the volume.
log.segment.bytes={segment}
log.retention.bytes={retention}
log.retention.check.interval.ms=10000
log.segment.delete.delay.ms=1000
log.index.size.max.bytes=1048576
offsets.topic.segment.bytes=1048576
metadata.log.segment.bytes=8388608
metadata.max.retention.bytes=16777216

# A few offsets are all that is ever compacted.
log.cleaner.dedupe.buffer.size=4194304
"
    )
}

/// The broker: a StatefulSet of one. Its configuration is part of the pod, so that it starts anew with another one.
pub fn broker(pipeline: &Validated, images: &Images, disk: &TopicDisk, heap: u64) -> StatefulSet {
    let container = Container {
        image: Some(images.kafka.clone()),
        image_pull_policy: Some(images.pull_policy.clone()),
        command: Some(["/bin/sh", "-c", START].map(String::from).into()),
        env: Some(vec![
            pods::variable("CLUSTER_ID", cluster_id(pipeline)),
            pods::variable("SERVER_PROPERTIES", server_properties(pipeline, disk)),
            pods::variable("LOGGING", LOGGING),
            pods::variable("KAFKA_HEAP_OPTS", format!("-Xms{heap}m -Xmx{heap}m")),
            pods::variable("KAFKA_LOG4J_OPTS", "-Dlog4j2.configurationFile=/tmp/log4j2.properties"),
            // Without this, Kafka's script has the JVM write up to 1 GB of garbage collection logs.
            pods::variable("EXTRA_ARGS", "-name kafkaServer"),
        ]),
        ports: Some(vec![ContainerPort {
            name: Some("kafka".into()),
            container_port: PORT,
            ..ContainerPort::default()
        }]),
        readiness_probe: Some(accepts_connections(PORT, 1, 3)),
        liveness_probe: Some(Probe { initial_delay_seconds: Some(60), ..accepts_connections(PORT, 10, 6) }),
        volume_mounts: Some(vec![pods::mount("data", DATA), pods::mount("logs", "/opt/kafka/logs")]),
        ..Container::default()
    };
    let mut pod = pods::pod(pipeline, Component::Kafka, USER, container);
    if let Some(spec) = &mut pod.spec {
        spec.volumes.get_or_insert_default().push(pods::scratch("logs", "64Mi"));
    }
    stateful_set(pipeline, Component::Kafka, pod)
}

/// The id that the volume is formatted with: the same for a Pipeline made anew, so that it opens the volume it left.
/// 16 bytes in URL-safe base64 without padding, as Kafka's `Uuid` has it; the first bit is zero, since `-` at the
/// beginning would read as a flag.
fn cluster_id(pipeline: &Validated) -> String {
    let mut digest = Sha256::digest(format!("{}/{}", pipeline.namespace, pipeline.name));
    digest[0] &= 0x7f;
    URL_SAFE_NO_PAD.encode(&digest[..16])
}
