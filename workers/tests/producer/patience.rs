//! What a producer bears while it becomes ready, and what ends it, against a broker that errs as it is told.

use std::time::{Duration, Instant};

use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use crate::{
    measured::dataset,
    support::{Worker, worker::Ended},
};

const TOPICS: [&str; 2] = ["images", "answers"];

fn kafka() -> MockCluster<'static, DefaultProducerContext> {
    let kafka = MockCluster::new(1).unwrap();
    for topic in TOPICS {
        kafka.create_topic(topic, 1, 1).unwrap();
    }
    kafka
}

/// How a producer ends that nobody answers, and how long that takes.
fn produce(kafka: &MockCluster<'_, DefaultProducerContext>, flags: &str) -> (Ended, Duration) {
    let (dataset, begun) = (dataset(), Instant::now());
    let (servers, folder) = (kafka.bootstrap_servers(), dataset.path().display());
    let command_line = format!(
        "producer --bootstrap-servers {servers} --images-topic {} --inferences-topic {} --dataset {folder} --rate 1 \
         --warmup 0s --duration 1s --drain-timeout 10s --ready-timeout 2m {flags}",
        TOPICS[0], TOPICS[1]
    );
    let arguments: Vec<_> = command_line.split_whitespace().map(str::to_owned).collect();
    let ended = Worker::run(&arguments, &[]);
    println!("{}", ended.output);
    (ended, begun.elapsed())
}

#[test]
fn requests_that_all_take_longer_than_the_first_patience_do_not_end_it() {
    let kafka = kafka();
    kafka.broker_round_trip_time(1, Duration::from_millis(2_500)).unwrap();
    let (ended, took) = produce(&kafka, "");
    assert!(ended.status.success(), "{}", ended.output);
    assert!(took >= Duration::from_secs(5), "{took:?}");
}

#[test]
fn errors_that_pass_do_not_end_it() {
    let kafka = kafka();
    use RDKafkaRespErr as Error;
    kafka.request_errors(
        RDKafkaApiKey::ListOffsets,
        &[
            Error::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            Error::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
            Error::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            Error::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
            Error::RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
            Error::RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
        ],
    );
    kafka.request_errors(
        RDKafkaApiKey::FindCoordinator,
        &[Error::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, Error::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS],
    );
    let (ended, _) = produce(&kafka, "--group-to-watch classifier");
    assert!(ended.status.success(), "{}", ended.output);
    assert!(ended.output.contains("waiting: "), "{}", ended.output);
}

#[test]
fn a_topic_that_kafka_refuses_ends_it_at_once() {
    let kafka = kafka();
    kafka.topic_error(TOPICS[0], RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    let (ended, took) = produce(&kafka, "");
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.output.contains("Kafka refuses the topic images: TopicAuthorizationFailed"), "{}", ended.output);
    assert!(took < Duration::from_secs(60), "it did not wait for the two minutes that it has: {took:?}");
}

#[test]
fn a_group_that_kafka_refuses_ends_it_at_once() {
    let kafka = kafka();
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 100];
    kafka.request_errors(RDKafkaApiKey::OffsetFetch, &refusals);
    let (ended, took) = produce(&kafka, "--group-to-watch classifier");
    assert_eq!(ended.status.code(), Some(1));
    let said = "the lag of the consumer group classifier cannot be read: ";
    assert!(ended.output.contains(said) && ended.output.contains("GroupAuthorizationFailed"), "{}", ended.output);
    assert!(took < Duration::from_secs(60), "it did not wait for the two minutes that it has: {took:?}");
}
