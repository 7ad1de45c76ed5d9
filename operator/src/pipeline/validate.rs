//! What the API server cannot see in a spec, and the spec in the form that the builders want.

use k8s_openapi::{
    api::core::v1::EnvVar,
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::OwnerReference},
};
use kube::{Resource, ResourceExt};
use tailrace_crds::{
    Pipeline,
    duration::Duration,
    pipeline::{Archive, DeletionPolicy, Inference, ManagedDatabase, SecretKey, StartFrom, Storage, Topics},
    pod_template::PodTemplate,
};

use super::{
    disk::{self, TopicDisk},
    templates::{Templates, templates},
};
use crate::{
    labels::Component,
    quantity::{self, NotAQuantity, NotASize},
    settings::Settings,
};

/// The heap of a broker whose memory limit allows it, in MiB.
const LARGEST_HEAP: u64 = 512;

/// A Pipeline that can be built.
#[derive(Clone, Debug)]
pub struct Validated {
    /// The name, which the names of all objects begin with.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// The UID: a Pipeline made anew under an old name is another one.
    pub uid: String,
    /// What the objects are owned by.
    pub owner: OwnerReference,
    /// The Kafka.
    pub kafka: Kafka,
    /// The topics.
    pub topics: Topics,
    /// Where a new consumer group begins.
    pub start_from: StartFrom,
    /// The database.
    pub database: Database,
    /// The database's name within the server.
    pub database_name: String,
    /// How long documents are kept; for ever where there is none.
    pub retention: Option<Duration>,
    /// The classifier.
    pub inference: Inference,
    /// The db-consumer.
    pub archive: Archive,
    /// What becomes of volumes.
    pub deletion_policy: DeletionPolicy,
    /// What the pods of each part have: what all pods inherit, what the Pipeline says, and complete resources.
    pub templates: Templates,
    /// How its workers log.
    pub log: Vec<EnvVar>,
}

impl Validated {
    /// What the pods of a part have.
    pub fn template(&self, part: Component) -> &PodTemplate {
        self.templates.of(part)
    }
}

/// Where images and answers are carried.
#[derive(Clone, Debug)]
pub enum Kafka {
    /// Made by the operator.
    Managed {
        /// The volume of the broker.
        storage: Storage,
        /// How that volume is shared by the partitions.
        disk: TopicDisk,
        /// The heap, in MiB.
        heap: u64,
    },
    /// There already.
    External {
        /// `host:port` addresses, separated by commas.
        bootstrap_servers: String,
    },
}

/// Where images and answers are kept.
#[derive(Clone, Debug)]
pub enum Database {
    /// Nowhere: nothing is archived.
    None,
    /// Made by the operator.
    Managed {
        /// Engine and volume.
        database: Box<ManagedDatabase>,
    },
    /// There already.
    External {
        /// Where the connection string is.
        uri: SecretKey,
    },
}

/// Why a Pipeline cannot be built, and what to write instead.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Invalid {
    /// The object does not come from an API server.
    #[error("the Pipeline has no {0}: apply it to a cluster")]
    NotFromTheApi(&'static str),
    /// Neither managed nor external.
    #[error("spec.{0} has neither managed nor external: write one of them")]
    NoMode(&'static str),
    /// A size that cannot be read.
    #[error("spec.{field}: {source}")]
    Size {
        /// The field.
        field: &'static str,
        /// Why.
        source: NotASize,
    },
    /// Resources with a quantity that cannot be read.
    #[error("spec.{field}.{source}")]
    Resources {
        /// The field.
        field: String,
        /// Why.
        source: NotAQuantity,
    },
    /// Too many partitions for the volume.
    #[error(
        "spec.topics: {partitions} partitions need a volume of at least {needed_mebibytes}Mi, and that of Kafka holds {size}: write fewer partitions or a larger spec.kafka.managed.storage.size"
    )]
    VolumeTooSmall {
        /// Of all topics.
        partitions: u64,
        /// What they need.
        needed_mebibytes: u64,
        /// What there is.
        size: String,
    },
    /// The broker would not start.
    #[error("spec.kafka.managed: a memory limit of {0} is too little for a broker: write at least 384Mi")]
    BrokerMemory(String),
}

/// Checks a Pipeline and brings it into the form that the builders want.
pub fn validate(pipeline: &Pipeline, settings: &Settings) -> Result<Validated, Invalid> {
    let spec = &pipeline.spec;
    let templates = templates(spec, &settings.pods)?;
    Ok(Validated {
        name: pipeline.name_any(),
        namespace: pipeline.namespace().ok_or(Invalid::NotFromTheApi("namespace"))?,
        uid: pipeline.uid().ok_or(Invalid::NotFromTheApi("UID"))?,
        owner: pipeline.controller_owner_ref(&()).ok_or(Invalid::NotFromTheApi("UID"))?,
        kafka: kafka(pipeline, &templates)?,
        topics: spec.topics.clone(),
        start_from: spec.start_from.unwrap_or(match spec.kafka.external {
            None => StartFrom::Earliest,
            Some(_) => StartFrom::Latest,
        }),
        database: database(pipeline)?,
        database_name: spec.mongodb.database.clone(),
        retention: spec.mongodb.retention.clone(),
        inference: spec.inference.clone(),
        archive: spec.archive.clone(),
        deletion_policy: spec.deletion_policy,
        templates,
        log: settings.log.variables().into(),
    })
}

impl Validated {
    /// Shares what the broker's volume really holds, where that is less than the spec says: one that an earlier
    /// Pipeline left, or that has not grown yet.
    pub fn on_volume(mut self, capacity: Option<&Quantity>) -> Result<Self, Invalid> {
        if let (Kafka::Managed { storage, disk, .. }, Some(capacity)) = (&mut self.kafka, capacity) {
            let smaller = matches!((quantity::bytes(capacity), quantity::bytes(&storage.size)), (Ok(real), Ok(wanted)) if real < wanted);
            if smaller {
                *disk = disk::share(capacity, &self.topics)?;
            }
        }
        Ok(self)
    }
}

fn kafka(pipeline: &Pipeline, templates: &Templates) -> Result<Kafka, Invalid> {
    let spec = &pipeline.spec.kafka;
    match (&spec.managed, &spec.external) {
        (Some(managed), None) => Ok(Kafka::Managed {
            disk: disk::share(&managed.storage.size, &pipeline.spec.topics)?,
            storage: managed.storage.clone(),
            heap: heap(templates.of(Component::Kafka))?,
        }),
        (None, Some(external)) => Ok(Kafka::External { bootstrap_servers: external.bootstrap_servers.clone() }),
        _ => Err(Invalid::NoMode("kafka")),
    }
}

fn database(pipeline: &Pipeline) -> Result<Database, Invalid> {
    if !pipeline.spec.archive.enabled {
        return Ok(Database::None);
    }
    match (&pipeline.spec.mongodb.managed, &pipeline.spec.mongodb.external) {
        (Some(managed), None) => Ok(Database::Managed { database: Box::new(managed.clone()) }),
        (None, Some(external)) => Ok(Database::External { uri: external.uri_secret_ref.clone() }),
        _ => Err(Invalid::NoMode("mongodb")),
    }
}

/// Half of the memory limit, in MiB: the page cache of the log segments and the JVM itself need the rest.
fn heap(template: &PodTemplate) -> Result<u64, Invalid> {
    const MEBIBYTE: u64 = 1 << 20;
    const SMALLEST_LIMIT: u64 = 384 * MEBIBYTE;
    let limits = template.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    let limit = limits.and_then(|limits| limits.get("memory")).cloned().unwrap_or_default();
    let field = "kafka.managed.podTemplate.resources.limits.memory";
    let bytes = quantity::bytes(&limit).map_err(|source| Invalid::Size { field, source })?;
    if bytes < SMALLEST_LIMIT {
        return Err(Invalid::BrokerMemory(limit.0));
    }
    Ok((bytes / 2 / MEBIBYTE).min(LARGEST_HEAP))
}
