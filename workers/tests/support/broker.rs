//! Apache Kafka: one broker, KRaft.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::Command,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use tempfile::TempDir;

use super::{eventually, free_port, process::Process, third_party};

/// How soon the members of a group by the consumer protocol (KIP-848) learn of a change, and when one that says nothing
/// counts as dead: as by the classic protocol, where members say so themselves.
const GROUPS: &str = "group.consumer.min.heartbeat.interval.ms=1000
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.session.timeout.ms=10000
group.consumer.session.timeout.ms=10000
";

/// Without the consumer protocol, as brokers before Kafka 4 are.
const CLASSIC_GROUPS: &str = "group.coordinator.rebalance.protocols=classic\n";

/// 16 bytes in URL-safe base64.
const CLUSTER_ID: &str = "dGFpbHJhY2UtdGVzdHMtMQ";

pub struct Broker {
    process: Mutex<Process>,
    port: u16,
    folder: TempDir,
}

static SHARED: Mutex<Weak<Broker>> = Mutex::new(Weak::new());
static CLASSIC: Mutex<Weak<Broker>> = Mutex::new(Weak::new());

impl Broker {
    /// The broker of this test program: started by the first test that needs it, stopped by the last.
    pub fn shared() -> Arc<Self> {
        Self::only(&SHARED, GROUPS)
    }

    /// The same, of one that knows only the classic protocol of groups.
    pub fn classic() -> Arc<Self> {
        Self::only(&CLASSIC, CLASSIC_GROUPS)
    }

    /// A broker of one test.
    pub fn own() -> Self {
        Self::start(GROUPS)
    }

    fn only(place: &Mutex<Weak<Self>>, groups: &str) -> Arc<Self> {
        let mut place = place.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(broker) = place.upgrade() {
            return broker;
        }
        let broker = Arc::new(Self::start(groups));
        *place = Arc::downgrade(&broker);
        broker
    }

    /// A broker of one test, with a second listener on port `listener` whose clients are told to come to port `road`.
    pub fn with_road(listener: u16, road: u16) -> Self {
        let settings = format!(
            "{GROUPS}listener.security.protocol.map=PLAINTEXT:PLAINTEXT,ROAD:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
"
        );
        Self::start_with(&settings, &format!(",ROAD://127.0.0.1:{listener}"), &format!(",ROAD://127.0.0.1:{road}"))
    }

    fn start(groups: &str) -> Self {
        Self::start_with(groups, "", "")
    }

    fn start_with(more: &str, listeners: &str, advertised: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let properties = folder.path().join("server.properties");
        let settings = settings(folder.path(), port, free_port(), listeners, advertised) + more;
        fs::write(&properties, settings).unwrap();

        let formatted = java("kafka.tools.StorageTool")
            .args(["format", "--cluster-id", CLUSTER_ID, "--config"])
            .arg(&properties)
            .output()
            .unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stdout));
        let broker = Self { process: Mutex::new(run(folder.path())), port, folder };
        broker.wait();
        broker
    }

    /// Ends the broker as a node that is drained does, leaves it away for so long, and starts it again with its data.
    pub fn restart(&self, away: Duration) {
        self.restart_after(|_| std::thread::sleep(away));
    }

    /// The same with another value of the byte `place` of the first batch of records in a topic's partition 0, and the
    /// checksum that belongs to it: what a broker with a faulty disk, or a later one, would send.
    pub fn restart_with_byte(&self, topics: &[(String, usize, u8)]) {
        self.restart_after(|data| {
            for (topic, place, value) in topics {
                let log = data.join(format!("{topic}-0/00000000000000000000.log"));
                let mut batch = fs::read(&log).unwrap();
                assert_ne!(std::mem::replace(&mut batch[*place], *value), *value);
                let length = 12 + u32::from_be_bytes(batch[8..12].try_into().unwrap()) as usize;
                let checksum = crc32c(&batch[21..length]);
                batch[17..21].copy_from_slice(&checksum.to_be_bytes());
                fs::write(&log, batch).unwrap();
            }
        });
    }

    fn restart_after(&self, meanwhile: impl FnOnce(&Path)) {
        let mut process = self.process.lock().unwrap();
        process.terminate(Duration::from_secs(30));
        meanwhile(&self.folder.path().join("data"));
        *process = run(self.folder.path());
        drop(process);
        self.wait();
    }

    fn wait(&self) {
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.address())
            .set("reconnect.backoff.max.ms", "100")
            .create()
            .unwrap();
        eventually("Kafka answers", Duration::from_secs(60), || {
            let mut process = self.process.lock().unwrap();
            assert!(process.is_running(), "{}", process.log());
            client.fetch_metadata(None, Duration::from_millis(200)).ok()
        });
    }

    /// Whether nobody listens.
    pub fn is_away(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_err()
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// The checksum of a batch (CRC-32C): of all that comes after it.
/// Source: <https://kafka.apache.org/documentation/#recordbatch>.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { 0x82F6_3B78 ^ (c >> 1) } else { c >> 1 })
    })
}

fn run(folder: &Path) -> Process {
    Process::start(java("kafka.Kafka").arg(folder.join("server.properties")), &folder.join("broker.log"))
}

fn java(class: &str) -> Command {
    let mut command = Command::new(third_party("kafka/jre/bin/java"));
    command
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(third_party("kafka/libs").join("*"))
        .arg(class);
    command
}

fn settings(folder: &Path, port: u16, controller: u16, listeners: &str, advertised: &str) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}
log.dirs={}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
",
        folder.join("data").display()
    )
}
