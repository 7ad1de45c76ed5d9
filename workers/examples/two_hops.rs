//! The floor of every latency through Kafka: one process sends records on a schedule, a second takes each and sends it
//! on, the first receives it. `bench/pipeline` compares Tailrace with it.
//!
//! `two_hops forward` prints `ready` once it misses no record; `two_hops send` then prints percentiles as JSON, in
//! microseconds from the intended send. Its settings are the fastest known for one record at a time.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use tailrace_measure::{histogram::LatencyHistogram, schedule::Constant, summary::summarize};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last records may be on their way.
const DRAIN: Duration = Duration::from_secs(5);
/// A sleeper wakes up late by some 60 us: the rest is spun.
const SPIN: Duration = Duration::from_micros(100);

#[derive(Parser)]
struct CommandLine {
    /// Comma-separated host:port addresses of brokers.
    #[arg(long, global = true, default_value = "127.0.0.1:9092")]
    bootstrap_servers: String,
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Takes records from partition 0 of one topic and sends them to partition 0 of another.
    Forward { from: String, to: String },
    /// Sends records to one topic, and receives them from another.
    Send {
        to: String,
        from: String,
        /// Records a second.
        #[arg(long)]
        rate: u32,
        /// Seconds of sending before the measurement.
        #[arg(long)]
        warmup: u64,
        /// Seconds of the measurement.
        #[arg(long)]
        duration: u64,
        /// The size of a record.
        #[arg(long, default_value_t = 2300)]
        bytes: usize,
    },
}

fn main() -> anyhow::Result<()> {
    let CommandLine { bootstrap_servers, role } = CommandLine::parse();
    let client = client(&bootstrap_servers);
    match role {
        Role::Forward { from, to } => forward(&Hop::new(&client, &from, to)?),
        Role::Send { to, from, rate, warmup, duration, bytes } => {
            let load = Load { schedule: Constant::new(rate, 1, 0)?, warmup, duration, bytes };
            println!("{}", serde_json::to_string(&load.measure(&Hop::new(&client, &from, to)?)?)?);
            Ok(())
        }
    }
}

fn client(bootstrap_servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap_servers).set("socket.nagle.disable", "true");
    config
}

/// What comes from one topic and goes to another.
struct Hop {
    consumer: BaseConsumer,
    producer: ThreadedProducer<DefaultProducerContext>,
    to: String,
}

impl Hop {
    /// Takes what is sent to `from` from now on.
    fn new(client: &ClientConfig, from: &str, to: String) -> anyhow::Result<Self> {
        let consumer: BaseConsumer =
            client.clone().set("group.id", "two-hops").set("fetch.wait.max.ms", "3").create()?;
        let (_, end) = consumer.fetch_watermarks(from, 0, REQUEST_TIMEOUT)?;
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(from, 0, Offset::Offset(end))?;
        consumer.assign(&assignment)?;
        let producer: ThreadedProducer<_> = client.clone().set("linger.ms", "0").set("acks", "all").create()?;
        // Connects to the leader, so that the first record does not wait for it.
        producer.client().fetch_watermarks(&to, 0, REQUEST_TIMEOUT)?;
        Ok(Self { consumer, producer, to })
    }

    fn send(&self, payload: &[u8]) -> anyhow::Result<()> {
        let record = BaseRecord::<(), [u8]>::to(&self.to).partition(0).payload(payload);
        self.producer.send(record).map_err(|(error, _)| error).context("Kafka's producer does not take a record")
    }
}

fn forward(hop: &Hop) -> anyhow::Result<()> {
    println!("ready");
    loop {
        if let Some(record) = hop.consumer.poll(Duration::from_millis(100)) {
            hop.send(record?.payload().unwrap_or_default())?;
        }
    }
}

struct Load {
    schedule: Constant,
    warmup: u64,
    duration: u64,
    bytes: usize,
}

impl Load {
    fn measure(&self, hop: &Hop) -> anyhow::Result<tailrace_measure::summary::Summary> {
        let start = Instant::now();
        let records = self.schedule.count_before(Duration::from_secs(self.warmup + self.duration));
        let latencies = thread::scope(|scope| {
            let received = scope.spawn(|| self.receive(hop, start, records));
            self.send(hop, start, records)?;
            received.join().map_err(|_| anyhow::anyhow!("the thread that receives panicked"))?
        })?;
        let measured = records - self.schedule.count_before(Duration::from_secs(self.warmup));
        ensure!(latencies.count() == measured, "{} of {measured} records came back", latencies.count());
        Ok(summarize(&latencies, measured))
    }

    /// The number of a record is its first eight bytes.
    fn send(&self, hop: &Hop, start: Instant, records: u64) -> anyhow::Result<()> {
        let mut payload = vec![7; self.bytes.max(size_of::<u64>())];
        for number in 0..records {
            payload[..size_of::<u64>()].copy_from_slice(&number.to_le_bytes());
            sleep_until(start + self.schedule.offset(number));
            hop.send(&payload)?;
        }
        Ok(())
    }

    fn receive(&self, hop: &Hop, start: Instant, records: u64) -> anyhow::Result<LatencyHistogram> {
        let mut latencies = LatencyHistogram::new();
        let warmup = self.schedule.count_before(Duration::from_secs(self.warmup));
        let deadline = start + self.schedule.offset(records) + DRAIN;
        let mut received = 0;
        while received < records && Instant::now() < deadline {
            let Some(record) = hop.consumer.poll(Duration::from_millis(100)) else { continue };
            let now = Instant::now();
            let record = record?;
            let number =
                record.payload().and_then(|payload| payload.first_chunk()).context("a record without number")?;
            let number = u64::from_le_bytes(*number);
            received += 1;
            if number >= warmup {
                let latency = now.saturating_duration_since(start + self.schedule.offset(number));
                latencies.record(u64::try_from(latency.as_micros())?)?;
            }
        }
        Ok(latencies)
    }
}

fn sleep_until(due: Instant) {
    let left = due.saturating_duration_since(Instant::now());
    thread::sleep(left.saturating_sub(SPIN));
    while Instant::now() < due {
        std::hint::spin_loop();
    }
}
