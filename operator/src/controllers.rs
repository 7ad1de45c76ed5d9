//! What all controllers do alike: they are told of changes by the watches, and reconcile one object at a time.

use std::{
    collections::HashSet,
    convert::Infallible,
    fmt::Debug,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{
    FutureExt, Stream, StreamExt,
    future::{BoxFuture, join_all},
    stream::{BoxStream, select_all},
};
use jiff::{Timestamp, Unit};
use kube::{
    ResourceExt,
    core::{ObjectMeta, PartialObjectMeta, PartialObjectMetaExt},
    runtime::{
        applier,
        controller::{self, Action},
        reflector::{ObjectRef, store::Writer},
        watcher::Event,
    },
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument, info_span};

use crate::{
    context::Context,
    lock,
    logging::trimmed,
    watch::{Change, Watch, Watched},
    writer::Error,
};

/// The pause after a reconciliation that panicked, which would do so again.
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(60);

/// The time to the microsecond, as the API server keeps it.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Microsecond).unwrap_or(now)
}

/// A controller of the objects of one kind.
pub struct Controller<K: Watched> {
    watch: Watch<K>,
    triggers: Vec<BoxStream<'static, ObjectRef<K>>>,
    ready: Vec<BoxFuture<'static, ()>>,
    config: controller::Config,
}

impl<K: Watched> Controller<K> {
    /// A controller that reconciles each object of `watch` whenever it changes, so many at once.
    pub fn new(watch: &Watch<K>, concurrency: u16) -> Self {
        Self::only(watch, concurrency, |_| true)
    }

    /// As [`Controller::new`], of those for which `wanted` holds.
    pub fn only(watch: &Watch<K>, concurrency: u16, wanted: impl Fn(&K) -> bool + Send + Sync + 'static) -> Self {
        let changed = watch.changes().filter_map(move |change| {
            let is_wanted = change.object().is_none_or(&wanted);
            futures::future::ready(is_wanted.then(|| reference(change.meta())))
        });
        let controller = Self {
            watch: watch.clone(),
            triggers: vec![changed.boxed()],
            ready: vec![],
            config: controller::Config::default().concurrency(concurrency),
        };
        controller.reads(watch)
    }

    /// Changes within this time are one.
    pub fn debounce(mut self, time: Duration) -> Self {
        self.config = self.config.debounce(time);
        self
    }

    /// Begins only after all objects of `watch` are known.
    pub fn reads<O: Watched>(mut self, watch: &Watch<O>) -> Self {
        let watch = watch.clone();
        self.ready.push(async move { watch.ready().await }.boxed());
        self
    }

    /// Reconciles the objects that `affected` names for each change of another kind, which reconciliations may read.
    pub fn watches<O: Watched, I>(
        mut self,
        watch: &Watch<O>,
        affected: impl Fn(&Change<O>) -> I + Send + Sync + 'static,
    ) -> Self
    where
        I: IntoIterator<Item = ObjectRef<K>>,
        I::IntoIter: Send + 'static,
    {
        let affected = watch.changes().flat_map(move |change| futures::stream::iter(affected(&change)));
        self.triggers.push(affected.boxed());
        self.reads(watch)
    }

    /// As [`Controller::watches`], of the objects that own the one that changed.
    pub fn owns<O: Watched>(self, watch: &Watch<O>) -> Self {
        self.watches(watch, |change| owners(change.meta()))
    }

    /// Works until `shutdown` is cancelled and the reconciliations in flight are over.
    pub async fn run<F>(
        self,
        context: Arc<Context>,
        shutdown: CancellationToken,
        reconcile: impl Fn(Arc<K>, Arc<Context>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<Action, Error>> + Send + 'static,
    {
        tokio::select! {
            _ = join_all(self.ready) => {}
            () = shutdown.cancelled() => return,
        }
        let watch = self.watch;
        let waiting = Arc::new(Waiting::new(watch.clone(), context.clone()));
        let store = lock(&waiting.names).as_reader();
        let queue = queue(self.triggers, waiting.clone()).take_until(shutdown.cancelled_owned());
        let reconcile = Arc::new(reconcile);
        let started = move |name: Arc<PartialObjectMeta<K>>, context: Arc<Context>| {
            waiting.is_taken(&name);
            let (watch, reconcile, to_reconcile, with) =
                (watch.clone(), reconcile.clone(), name.clone(), context.clone());
            let work = async move {
                match watch.get(&to_reconcile.namespace().unwrap_or_default(), &to_reconcile.name_any()) {
                    Some(object) => reconcile(object, with).await,
                    None => Ok(Action::await_change()),
                }
            };
            one(name, context, work).boxed()
        };
        let outcomes = applier(started, again, context.clone(), store, queue, self.config);
        outcomes.for_each(async |outcome| ended(&context, outcome)).await;
    }
}

fn queue<K: Watched>(
    triggers: Vec<BoxStream<'static, ObjectRef<K>>>,
    waiting: Arc<Waiting<K>>,
) -> impl Stream<Item = Result<ObjectRef<PartialObjectMeta<K>>, Infallible>> {
    select_all(triggers).map(move |object| Ok(waiting.comes(&object)))
}

/// The owners of that kind.
pub fn owners<K: Watched>(meta: &ObjectMeta) -> Vec<ObjectRef<K>> {
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let owners = meta.owner_references.iter().flatten();
    let ours = owners.filter(|owner| owner.kind == K::kind(&()) && owner.api_version == K::api_version(&()));
    ours.map(|owner| ObjectRef::new(&owner.name).within(namespace)).collect()
}

fn reference<K: Watched>(meta: &ObjectMeta) -> ObjectRef<K> {
    let object = ObjectRef::new(meta.name.as_deref().unwrap_or_default());
    object.within(meta.namespace.as_deref().unwrap_or_default())
}

/// The objects that a change asks to be reconciled, until that begins.
struct Waiting<K: Watched> {
    objects: Mutex<HashSet<ObjectRef<K>>>,
    /// What has come and is not gone. The applier of kube takes objects from a store, and of these it needs no more.
    names: Mutex<Writer<PartialObjectMeta<K>>>,
    watch: Watch<K>,
    context: Arc<Context>,
}

impl<K: Watched> Waiting<K> {
    fn new(watch: Watch<K>, context: Arc<Context>) -> Self {
        let mut names = Writer::default();
        names.apply_watcher_event(&Event::InitDone);
        Self { objects: Mutex::default(), names: Mutex::new(names), watch, context }
    }

    fn comes(&self, object: &ObjectRef<K>) -> ObjectRef<PartialObjectMeta<K>> {
        let mut objects = lock(&self.objects);
        let metadata = ObjectMeta {
            name: Some(object.name.clone()),
            namespace: object.namespace.clone(),
            ..ObjectMeta::default()
        };
        let name: PartialObjectMeta<K> = metadata.into_response_partial();
        let reference = ObjectRef::from_obj(&name);
        // One that is gone is never taken.
        if self.watch.has(object.namespace.as_deref().unwrap_or_default(), &object.name) {
            let is_new = objects.insert(object.clone());
            self.context.metrics.wait(&K::kind(&()), i64::from(is_new));
            lock(&self.names).apply_watcher_event(&Event::Apply(name));
        } else {
            let waited = objects.remove(object);
            self.context.metrics.wait(&K::kind(&()), -i64::from(waited));
            lock(&self.names).apply_watcher_event(&Event::Delete(name));
        }
        reference
    }

    fn is_taken(&self, object: &PartialObjectMeta<K>) {
        let waited = lock(&self.objects).remove(&reference(&object.metadata));
        self.context.metrics.wait(&K::kind(&()), -i64::from(waited));
    }
}

/// Why a reconciliation came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Error(#[from] Error),
    /// A fault of the operator, which stays with the object that brought it out.
    #[error("the reconciliation panicked: {0}")]
    Panicked(tokio::task::JoinError),
}

impl Failed {
    /// For the metrics.
    fn reason(&self) -> &'static str {
        match self {
            Self::Panicked(_) => "panic",
            Self::Error(error) if error.is_conflict() => "conflict",
            Self::Error(error) if error.is_refusal() => "refused",
            Self::Error(Error::Timeout { .. }) => "timeout",
            Self::Error(_) => "request",
        }
    }
}

/// One reconciliation, in a task and a span of its own.
async fn one<K: Watched>(
    object: Arc<PartialObjectMeta<K>>,
    context: Arc<Context>,
    work: impl Future<Output = Result<Action, Error>> + Send + 'static,
) -> Result<Action, Failed> {
    let (kind, namespace) = (K::kind(&()), object.namespace().unwrap_or_default());
    let span = info_span!("reconcile", %kind, namespace, name = object.name_any());
    context.metrics.begins(&kind);
    let began = Instant::now();
    let outcome = AbortOnDropHandle::new(tokio::spawn(work.instrument(span))).await;
    let outcome = outcome.map_err(Failed::Panicked).and_then(|outcome| outcome.map_err(Failed::Error));
    context.metrics.ends(&kind, began.elapsed(), outcome.as_ref().err().map(Failed::reason));
    outcome
}

/// Tries again later, and later still the more often it has failed.
fn again<K: Watched>(object: Arc<PartialObjectMeta<K>>, error: &Failed, context: Arc<Context>) -> Action {
    let (kind, namespace, name) = (K::kind(&()), object.namespace().unwrap_or_default(), object.name_any());
    let delay = match error {
        Failed::Panicked(_) => PAUSE_AFTER_PANIC,
        Failed::Error(error) => context.retries.delay_after(object.as_ref(), error),
    };
    let why = trimmed(&error.to_string());
    if error.reason() == "conflict" {
        tracing::debug!(%kind, namespace, name, ?delay, "another writer was faster, tries again: {why}");
    } else {
        tracing::warn!(%kind, namespace, name, ?delay, "could not go on, tries again: {why}");
    }
    Action::requeue(delay)
}

/// What is queued of an object: no more than its name.
type Name<K> = ObjectRef<PartialObjectMeta<K>>;

/// Forgets the failures of what was reconciled, or is gone.
fn ended<K: Watched>(context: &Context, outcome: Result<(Name<K>, Action), controller::Error<Failed, Infallible>>) {
    match outcome {
        Ok((object, _)) => context.retries.succeeded(&object),
        Err(controller::Error::ObjectNotFound(object)) => {
            context.retries.succeeded(&ObjectRef::<K>::new(&object.name).within(&object.namespace.unwrap_or_default()));
        }
        // `again` has logged it, or the operator ends.
        Err(_) => {}
    }
}
