//! The managed database: MongoDB, or FerretDB on SQLite. Both speak the same protocol on the same port.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Container, ContainerPort, EnvVar, Probe},
};
use tailrace_crds::pipeline::{DatabaseEngine, ManagedDatabase};

use super::{
    network::service_host,
    pods,
    stateful_set::{accepts_connections, stateful_set},
};
use crate::{
    labels::Component,
    pipeline::validate::{Database, Validated},
    pod_security,
    settings::Images,
};

/// Where clients connect.
pub const PORT: i32 = 27017;

/// What differs between the engines.
struct Engine<'a> {
    image: &'a str,
    /// The program, where the image's own entry point would do more than start it.
    command: &'a [&'a str],
    arguments: &'a [&'a str],
    environment: &'a [(&'a str, &'a str)],
    data: &'a str,
    user: i64,
}

/// `mongodb` of the official image, which runs its server without the preparations of the entry point.
const MONGODB: Engine<'_> = Engine {
    image: "",
    command: &["mongod"],
    arguments: &["--dbpath=/data/db", "--bind_ip_all", "--ipv6", "--nounixsocket"],
    // Its allocator and restartable sequences as kernels from 6.19 on do them end in a crash, unless the C library has
    // registered them (SERVER-121912).
    environment: &[("GLIBC_TUNABLES", "glibc.pthread.rseq=1")],
    data: "/data/db",
    user: 999,
};

const FERRETDB: Engine<'_> = Engine {
    image: "",
    command: &[],
    arguments: &[],
    environment: &[
        ("FERRETDB_HANDLER", "sqlite"),
        ("FERRETDB_SQLITE_URL", "file:/state/"),
        ("FERRETDB_STATE_DIR", "/state"),
        ("FERRETDB_LISTEN_ADDR", ":27017"),
        ("FERRETDB_DEBUG_ADDR", "127.0.0.1:8088"),
        ("FERRETDB_TELEMETRY", "disable"),
        // Each probe would be two lines.
        ("FERRETDB_LOG_LEVEL", "warn"),
    ],
    data: "/state",
    user: pod_security::WORKER_USER,
};

fn engine(engine: DatabaseEngine, images: &Images) -> Engine<'_> {
    match engine {
        DatabaseEngine::MongoDB => Engine { image: &images.mongodb, ..MONGODB },
        DatabaseEngine::FerretDB => Engine { image: &images.ferretdb, ..FERRETDB },
    }
}

/// The server: a StatefulSet of one.
pub fn server(pipeline: &Validated, images: &Images, database: &ManagedDatabase) -> StatefulSet {
    let engine = engine(database.engine, images);
    let strings = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let container = Container {
        image: Some(engine.image.to_owned()),
        image_pull_policy: Some(images.pull_policy.clone()),
        command: (!engine.command.is_empty()).then(|| strings(engine.command)),
        args: (!engine.arguments.is_empty()).then(|| strings(engine.arguments)),
        env: Some(engine.environment.iter().map(|(name, value)| pods::variable(name, *value)).collect()),
        ports: Some(vec![ContainerPort {
            name: Some("mongodb".into()),
            container_port: PORT,
            ..ContainerPort::default()
        }]),
        readiness_probe: Some(accepts_connections(PORT, 1, 3)),
        liveness_probe: Some(Probe { initial_delay_seconds: Some(60), ..accepts_connections(PORT, 10, 6) }),
        volume_mounts: Some(vec![pods::mount("data", engine.data)]),
        ..Container::default()
    };
    let pod = pods::pod(pipeline, Component::Database, engine.user, container);
    stateful_set(pipeline, Component::Database, pod)
}

/// How the workers find the database: its connection string and its name. The managed database has no credentials yet,
/// so its string is no secret; that of another one comes from the user's Secret, which the operator never reads.
pub fn variables(pipeline: &Validated) -> Vec<EnvVar> {
    let uri = match &pipeline.database {
        Database::None => return Vec::new(),
        Database::Managed { .. } => {
            let host = service_host(pipeline, Component::Database);
            pods::variable("TAILRACE_MONGODB_URI", format!("mongodb://{host}:{PORT}/?directConnection=true"))
        }
        Database::External { uri } => pods::secret_variable("TAILRACE_MONGODB_URI", &uri.name, &uri.key),
    };
    vec![uri, pods::variable("TAILRACE_DATABASE", &pipeline.database_name)]
}
