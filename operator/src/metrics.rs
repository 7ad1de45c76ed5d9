//! What the operator counts. No label is the name of an object, so their number is bounded.

use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::{
    lock,
    watch::{Watch, Watched, Watches, kinds::Started},
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfKind {
    kind: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Failed {
    kind: String,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct InPhase {
    kind: String,
    phase: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    method: String,
    code: String,
}

/// What the operator counts.
pub struct Metrics {
    registry: std::sync::Mutex<Registry>,
    durations: Family<OfKind, Histogram, fn() -> Histogram>,
    errors: Family<Failed, Counter>,
    reconciling: Family<OfKind, Gauge>,
    waiting: Family<OfKind, Gauge>,
    objects: Family<InPhase, Gauge>,
    unreadable: Family<OfKind, Gauge>,
    watch_errors: Family<OfKind, Counter>,
    requests: Family<Asked, Counter>,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        // 1 ms to 16 s.
        let buckets: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let metrics = Self {
            registry: std::sync::Mutex::default(),
            durations: Family::new_with_constructor(buckets),
            errors: Family::default(),
            reconciling: Family::default(),
            waiting: Family::default(),
            objects: Family::default(),
            unreadable: Family::default(),
            watch_errors: Family::default(),
            requests: Family::default(),
            leader: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut registry = lock(&self.registry);
        let to = registry.sub_registry_with_prefix("tailrace_operator");
        let durations = self.durations.clone();
        to.register_with_unit("reconcile_duration", "How long reconciliations took", Unit::Seconds, durations);
        to.register("reconcile_errors", "Reconciliations that failed, by reason", self.errors.clone());
        to.register("reconciling", "Objects that are being reconciled", self.reconciling.clone());
        to.register("queue_depth", "Objects that wait to be reconciled", self.waiting.clone());
        to.register("objects", "Objects by phase; Pipelines are Ready or NotReady", self.objects.clone());
        to.register("unreadable_objects", "Objects that this version cannot read", self.unreadable.clone());
        to.register("watch_errors", "Watches that failed and listed again", self.watch_errors.clone());
        to.register("api_requests", "Requests to the API server, by method and status", self.requests.clone());
        to.register("leader", "1 while this operator is the one that works", self.leader.clone());
    }

    /// A reconciliation begins.
    pub(crate) fn begins(&self, kind: &str) {
        self.reconciling.get_or_create(&of(kind)).inc();
    }

    /// A reconciliation has ended, with an error for that reason if there was one.
    pub(crate) fn ends(&self, kind: &str, took: Duration, error: Option<&'static str>) {
        self.reconciling.get_or_create(&of(kind)).dec();
        self.durations.get_or_create(&of(kind)).observe(took.as_secs_f64());
        if let Some(reason) = error {
            self.errors.get_or_create(&Failed { kind: kind.to_owned(), reason }).inc();
        }
    }

    /// So many objects more wait to be reconciled than before, or fewer. A kind may have several controllers.
    pub(crate) fn wait(&self, kind: &str, more: i64) {
        self.waiting.get_or_create(&of(kind)).inc_by(more);
    }

    /// A watch failed.
    pub(crate) fn watch_failed(&self, plural: &str) {
        self.watch_errors.get_or_create(&of(plural)).inc();
    }

    /// A request was answered, or not.
    pub(crate) fn asked(&self, method: &Method, code: Option<StatusCode>) {
        let code = code.map_or_else(|| "none".to_owned(), |code| code.as_str().to_owned());
        self.requests.get_or_create(&Asked { method: method.to_string(), code }).inc();
    }

    /// Whether this operator is the one that works.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// All of it as OpenMetrics text. Objects are counted now.
    pub fn encode(&self, watches: &Watches) -> String {
        self.count(watches);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &lock(&self.registry));
        text
    }

    fn count(&self, watches: &Watches) {
        self.objects.clear();
        let Started { pipelines, load_tests, experiments, reports } = watches.started();
        self.count_kind(pipelines);
        self.count_kind(load_tests);
        self.count_kind(experiments);
        self.count_unreadable(reports);
    }

    fn count_kind<K: Watched>(&self, watch: Option<&Watch<K>>) {
        for (phase, count) in watch.iter().flat_map(|watch| watch.count_phases()) {
            self.objects.get_or_create(&InPhase { kind: K::kind(&()).into_owned(), phase }).set(count);
        }
        self.count_unreadable(watch);
    }

    fn count_unreadable<K: Watched>(&self, watch: Option<&Watch<K>>) {
        if let Some(watch) = watch {
            let count = i64::try_from(watch.count_unreadable()).unwrap_or(i64::MAX);
            self.unreadable.get_or_create(&of(&K::kind(&()))).set(count);
        }
    }
}

fn of(kind: &str) -> OfKind {
    OfKind { kind: kind.to_owned() }
}
