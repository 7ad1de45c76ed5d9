//! Answers every image at once with a label: what is then measured is Kafka and the producer. `bench/generator` uses
//! it.
//!
//! `echo IMAGES INFERENCES` prints `ready` once it misses no image.

use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::BorrowedMessage,
    producer::{BaseRecord, DefaultProducerContext, ThreadedProducer},
};
use tailrace_wire::{Answer, AnswerEvent, ImageEvent, Label};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Parser)]
struct CommandLine {
    /// Comma-separated host:port addresses of brokers.
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap_servers: String,
    /// The topic of the images.
    images: String,
    /// The topic of the answers.
    inferences: String,
}

fn main() -> anyhow::Result<()> {
    let CommandLine { bootstrap_servers, images, inferences } = CommandLine::parse();
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", bootstrap_servers).set("socket.nagle.disable", "true");
    let producer: ThreadedProducer<DefaultProducerContext> = client.clone().set("linger.ms", "0").create()?;
    let consumer = consumer(&mut client, &images)?;
    println!("ready");
    loop {
        if let Some(record) = consumer.poll(Duration::from_millis(100)) {
            answer(&producer, &inferences, &record?)?;
        }
    }
}

/// Of all partitions, from their ends on.
fn consumer(client: &mut ClientConfig, images: &str) -> anyhow::Result<BaseConsumer> {
    let consumer: BaseConsumer = client.set("group.id", "echo").set("fetch.wait.max.ms", "10").create()?;
    let metadata = consumer.fetch_metadata(Some(images), REQUEST_TIMEOUT)?;
    let topic = metadata.topics().first().context("Kafka does not know the topic of the images")?;
    let mut assignment = TopicPartitionList::new();
    for partition in topic.partitions() {
        let (_, end) = consumer.fetch_watermarks(images, partition.id(), REQUEST_TIMEOUT)?;
        assignment.add_partition_offset(images, partition.id(), Offset::Offset(end))?;
    }
    consumer.assign(&assignment)?;
    Ok(consumer)
}

fn answer(
    producer: &ThreadedProducer<DefaultProducerContext>,
    inferences: &str,
    record: &BorrowedMessage<'_>,
) -> anyhow::Result<()> {
    let image = ImageEvent::from_headers(record.headers().context("an image without headers")?)?;
    let label =
        Label { label: "cat".into(), index: 3, confidence: 1.0, model: "echo".into(), model_sha256: "0".into() };
    let answer = AnswerEvent {
        id: image.id.clone(),
        source: "echo".into(),
        pipeline: None,
        subject: image.subject(),
        time: Timestamp::now(),
        queue_micros: 0,
        compute_micros: 0,
        answer: Answer::Label(label),
    };
    let value = answer.to_value()?;
    let partition = image.reply_partition.context("an image without a reply partition")?;
    let record: BaseRecord<'_, (), [u8]> =
        BaseRecord::to(inferences).partition(partition).headers(answer.to_headers()).payload(&value);
    producer.send(record).map_err(|(error, _)| error).context("Kafka's producer does not take an answer")
}
