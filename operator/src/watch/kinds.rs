//! The watches of the operator, each started by whoever needs it first.

use std::sync::{Arc, OnceLock};

use futures::channel::mpsc;
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet, StatefulSet},
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client,
    runtime::{events::Recorder, watcher},
};
use tailrace_crds::{Experiment, LoadTest, Pipeline, ProducerReport};

use super::{
    Facts, Plan, Watch, Watched, facts, slim,
    unreadable::{self, Telling},
};
use crate::{
    health::Readiness,
    labels::{self, Component},
    metrics::Metrics,
};

/// How many objects are read at once when all are listed: each page is in memory as a whole.
const PAGE: u32 = 100;

/// What is not a producer's: each test has permissions of its own, and keeps them.
fn of_pipelines() -> String {
    format!("{},{}!={}", labels::MADE_HERE, labels::COMPONENT, Component::Producer.as_str())
}

/// The watches of the operator, each started by whoever needs it first.
pub struct Watches {
    client: Client,
    recorder: Recorder,
    namespace: String,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    pipelines: OnceLock<Watch<Pipeline>>,
    load_tests: OnceLock<Watch<LoadTest>>,
    experiments: OnceLock<Watch<Experiment>>,
    reports: OnceLock<Watch<ProducerReport>>,
    services: OnceLock<Watch<Service>>,
    network_policies: OnceLock<Watch<NetworkPolicy>>,
    accounts: OnceLock<Watch<ServiceAccount>>,
    roles: OnceLock<Watch<Role>>,
    role_bindings: OnceLock<Watch<RoleBinding>>,
    claims: OnceLock<Watch<PersistentVolumeClaim>>,
    stateful_sets: OnceLock<Watch<StatefulSet>>,
    deployments: OnceLock<Watch<Deployment>>,
    replica_sets: OnceLock<Watch<ReplicaSet>>,
    jobs: OnceLock<Watch<Job>>,
    pods: OnceLock<Watch<Pod>>,
}

impl Watches {
    /// Watches of one namespace, or of all if `namespace` is empty. None is started yet.
    pub fn new(
        client: Client,
        recorder: Recorder,
        namespace: &str,
        readiness: Arc<Readiness>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            client,
            recorder,
            namespace: namespace.to_owned(),
            readiness,
            metrics,
            pipelines: OnceLock::new(),
            load_tests: OnceLock::new(),
            experiments: OnceLock::new(),
            reports: OnceLock::new(),
            services: OnceLock::new(),
            network_policies: OnceLock::new(),
            accounts: OnceLock::new(),
            roles: OnceLock::new(),
            role_bindings: OnceLock::new(),
            claims: OnceLock::new(),
            stateful_sets: OnceLock::new(),
            deployments: OnceLock::new(),
            replica_sets: OnceLock::new(),
            jobs: OnceLock::new(),
            pods: OnceLock::new(),
        }
    }

    /// All Pipelines.
    pub fn pipelines(&self) -> &Watch<Pipeline> {
        self.pipelines.get_or_init(|| self.start("", slim::metadata, facts::pipeline, unreadable::PIPELINE))
    }

    /// All LoadTests; those that are over without the parts that only people read.
    pub fn load_tests(&self) -> &Watch<LoadTest> {
        self.load_tests.get_or_init(|| self.start("", slim::load_test, facts::load_test, unreadable::LOAD_TEST))
    }

    /// All Experiments.
    pub fn experiments(&self) -> &Watch<Experiment> {
        self.experiments.get_or_init(|| self.start("", slim::metadata, facts::experiment, unreadable::EXPERIMENT))
    }

    /// All reports. Of a result only that it is there: it is big, and read when all of a test are there.
    pub fn reports(&self) -> &Watch<ProducerReport> {
        self.reports.get_or_init(|| self.start("", slim::report, facts::labelled, unreadable::REPORT))
    }

    /// The Services that the operator has made.
    pub fn services(&self) -> &Watch<Service> {
        self.services
            .get_or_init(|| self.start(labels::MADE_HERE, slim::metadata, facts::labelled, unreadable::NO_STATUS))
    }

    /// The NetworkPolicies that the operator has made.
    pub fn network_policies(&self) -> &Watch<NetworkPolicy> {
        self.network_policies
            .get_or_init(|| self.start(labels::MADE_HERE, slim::metadata, facts::labelled, unreadable::NO_STATUS))
    }

    /// The ServiceAccounts of Pipelines.
    pub fn accounts(&self) -> &Watch<ServiceAccount> {
        self.accounts
            .get_or_init(|| self.start(&of_pipelines(), slim::metadata, facts::labelled, unreadable::NO_STATUS))
    }

    /// The Roles of Pipelines.
    pub fn roles(&self) -> &Watch<Role> {
        self.roles.get_or_init(|| self.start(&of_pipelines(), slim::metadata, facts::labelled, unreadable::NO_STATUS))
    }

    /// The RoleBindings of Pipelines.
    pub fn role_bindings(&self) -> &Watch<RoleBinding> {
        self.role_bindings
            .get_or_init(|| self.start(&of_pipelines(), slim::metadata, facts::labelled, unreadable::NO_STATUS))
    }

    /// The volumes of Pipelines, those that are kept for one that is gone included.
    pub fn claims(&self) -> &Watch<PersistentVolumeClaim> {
        self.claims.get_or_init(|| self.start(labels::PIPELINE, slim::metadata, facts::labelled, unreadable::NO_STATUS))
    }

    /// The StatefulSets that the operator has made.
    pub fn stateful_sets(&self) -> &Watch<StatefulSet> {
        self.stateful_sets
            .get_or_init(|| self.start(labels::MADE_HERE, slim::metadata, facts::labelled, unreadable::NO_STATUS))
    }

    /// The Deployments that the operator has made.
    pub fn deployments(&self) -> &Watch<Deployment> {
        self.deployments
            .get_or_init(|| self.start(labels::MADE_HERE, slim::metadata, facts::labelled, unreadable::NO_STATUS))
    }

    /// The ReplicaSets between the Deployments of Pipelines and their pods: whose they are, and nothing else.
    pub fn replica_sets(&self) -> &Watch<ReplicaSet> {
        self.replica_sets
            .get_or_init(|| self.start(labels::PIPELINE, slim::replica_set, facts::labelled, unreadable::NO_STATUS))
    }

    /// The Jobs that the operator has made.
    pub fn jobs(&self) -> &Watch<Job> {
        self.jobs.get_or_init(|| self.start(labels::MADE_HERE, slim::job, facts::labelled, unreadable::NO_STATUS))
    }

    /// The pods of Pipelines and of producers.
    pub fn pods(&self) -> &Watch<Pod> {
        self.pods.get_or_init(|| self.start(labels::PIPELINE, slim::pod, facts::labelled, unreadable::NO_STATUS))
    }

    fn start<K: Watched>(&self, labels: &str, slim: fn(&mut K), facts: fn(&K) -> Facts, telling: Telling) -> Watch<K> {
        let api = match self.namespace.as_str() {
            "" => Api::all(self.client.clone()),
            namespace => Api::namespaced(self.client.clone(), namespace),
        };
        let mut config = watcher::Config::default().page_size(PAGE);
        if !labels.is_empty() {
            config = config.labels(labels);
        }
        let (unreadable, found) = mpsc::unbounded();
        tokio::spawn(unreadable::tell_all::<K>(self.client.clone(), self.recorder.clone(), telling, found));
        Plan { api, config, slim, facts, unreadable }.start(self.readiness.clone(), self.metrics.clone())
    }

    /// Those of the custom resources that were started, for the metrics.
    pub(crate) fn started(&self) -> Started<'_> {
        Started {
            pipelines: self.pipelines.get(),
            load_tests: self.load_tests.get(),
            experiments: self.experiments.get(),
            reports: self.reports.get(),
        }
    }
}

/// The watches of custom resources that were started.
pub(crate) struct Started<'a> {
    pub(crate) pipelines: Option<&'a Watch<Pipeline>>,
    pub(crate) load_tests: Option<&'a Watch<LoadTest>>,
    pub(crate) experiments: Option<&'a Watch<Experiment>>,
    pub(crate) reports: Option<&'a Watch<ProducerReport>>,
}
