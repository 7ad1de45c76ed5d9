//! One watch for each kind in the whole process: a cache of the kind's objects, and a stream of their changes.
//!
//! What the API server sends is read object by object: one that cannot be read is left out of the cache, is told so in
//! its own status, and harms no other. A watch that fails lists again after a pause, and the operator is not ready
//! meanwhile.

mod facts;
pub mod kinds;
mod objects;
mod slim;
mod unreadable;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{
    Stream, StreamExt,
    channel::mpsc::{self, UnboundedSender},
};
use kube::{
    Api, Resource,
    core::{DeserializeGuard, NamespaceResourceScope, ObjectMeta, error_boundary::InvalidObject},
    runtime::{
        reflector::ObjectRef,
        watcher::{self, DefaultBackoff, Event, watcher},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::SetOnce;
use tokio_util::task::AbortOnDropHandle;

use crate::{health::Readiness, lock, logging::trimmed, metrics::Metrics};

use self::objects::{Objects, Packed};
pub use self::{facts::Facts, kinds::Watches};

/// The longest pause before a watch that failed starts again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A kind that can be watched.
pub trait Watched:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Watched for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// Something that happened to an object.
#[derive(Debug)]
pub enum Change<K> {
    /// It is new, changed, or listed again.
    Applied(Arc<K>),
    /// It is gone.
    Gone(Arc<K>),
    /// It cannot be read (any more), or is gone without ever having been read.
    Unreadable(Arc<ObjectMeta>),
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Applied(object) => Self::Applied(object.clone()),
            Self::Gone(object) => Self::Gone(object.clone()),
            Self::Unreadable(meta) => Self::Unreadable(meta.clone()),
        }
    }
}

impl<K: Watched> Change<Packed<K>> {
    fn unpacked(self) -> Option<Change<K>> {
        Some(match self {
            Self::Applied(object) => Change::Applied(object.unpack()?),
            Self::Gone(object) => Change::Gone(object.unpack()?),
            Self::Unreadable(meta) => Change::Unreadable(meta),
        })
    }
}

impl<K: Resource> Change<K> {
    /// The metadata of the object.
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Applied(object) | Self::Gone(object) => object.meta(),
            Self::Unreadable(meta) => meta,
        }
    }

    /// The object, if it can be read.
    pub fn object(&self) -> Option<&K> {
        match self {
            Self::Applied(object) | Self::Gone(object) => Some(object),
            Self::Unreadable(_) => None,
        }
    }
}

/// The watch of one kind. It ends with its last clone.
#[derive(Clone)]
pub struct Watch<K: Watched> {
    cache: Arc<Cache<K>>,
    _task: Arc<AbortOnDropHandle<()>>,
}

impl<K: Watched> Watch<K> {
    /// Waits until all objects were listed once.
    pub async fn ready(&self) {
        self.cache.listed.wait().await;
    }

    /// The object of that name. Nothing is known until [`Watch::ready`].
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.cache.objects.get(namespace, name)?.unpack()
    }

    /// Whether there is an object of that name.
    pub fn has(&self, namespace: &str, name: &str) -> bool {
        self.cache.objects.get(namespace, name).is_some()
    }

    /// The objects of a namespace for whose name and facts `wanted` holds. Only these are unpacked.
    pub fn list(&self, namespace: &str, wanted: impl Fn(&str, &Facts) -> bool) -> Vec<Arc<K>> {
        self.cache.objects.of_namespace(namespace, wanted).iter().filter_map(|object| object.unpack()).collect()
    }

    /// The objects that are labelled as parts of a Pipeline, or the LoadTests for it.
    pub fn of_pipeline(&self, namespace: &str, pipeline: &str) -> Vec<Arc<K>> {
        self.list(namespace, |_, facts| facts.is_of(pipeline))
    }

    /// The objects of all namespaces for whose facts `wanted` holds. Only these are unpacked.
    pub fn list_all(&self, wanted: impl Fn(&Facts) -> bool) -> Vec<Arc<K>> {
        self.cache.objects.all(wanted).iter().filter_map(|(_, object)| object.unpack()).collect()
    }

    /// The names of the objects of all namespaces for whose facts `wanted` holds.
    pub fn names(&self, wanted: impl Fn(&Facts) -> bool) -> Vec<ObjectRef<K>> {
        self.cache.objects.all(wanted).into_iter().map(|(name, _)| name).collect()
    }

    /// How many objects are in each phase.
    pub fn count_phases(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for (_, object) in self.cache.objects.all(|_| true) {
            *counts.entry(object.facts.phase.to_string()).or_default() += 1;
        }
        counts
    }

    /// Why the object of that name cannot be read, if it is there and cannot.
    pub fn why_unreadable(&self, namespace: &str, name: &str) -> Option<String> {
        lock(&self.cache.unreadable).get(&ObjectRef::new(name).within(namespace)).cloned()
    }

    /// The objects of a namespace that cannot be read, with the reasons.
    pub fn unreadable(&self, namespace: &str) -> Vec<(String, String)> {
        let unreadable = lock(&self.cache.unreadable);
        let here = unreadable.iter().filter(|(object, _)| object.namespace.as_deref() == Some(namespace));
        here.map(|(object, why)| (object.name.clone(), why.clone())).collect()
    }

    /// How many objects cannot be read.
    pub fn count_unreadable(&self) -> usize {
        lock(&self.cache.unreadable).len()
    }

    /// All changes from now on, after one for each object that is there.
    pub fn changes(&self) -> impl Stream<Item = Change<K>> + Send + use<K> {
        let (sender, receiver) = mpsc::unbounded();
        let mut subscribers = lock(&self.cache.subscribers);
        for (_, object) in self.cache.objects.all(|_| true) {
            let _ = sender.unbounded_send(Change::Applied(object));
        }
        subscribers.push(sender);
        // As late as here: many changes may wait.
        receiver.filter_map(async |change| change.unpacked())
    }
}

/// How a kind is watched.
pub(crate) struct Plan<K: Watched> {
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
    /// Takes away what nobody needs of an object that is kept.
    slim: fn(&mut K),
    /// By what such an object is found.
    facts: fn(&K) -> Facts,
    /// Gets the objects that cannot be read, to tell them so.
    unreadable: UnboundedSender<InvalidObject>,
}

impl<K: Watched> Plan<K> {
    /// What is kept of an object that was read, and its metadata.
    fn kept(
        &self,
        DeserializeGuard(object): DeserializeGuard<K>,
    ) -> Result<(ObjectMeta, Arc<Packed<K>>), Box<InvalidObject>> {
        let mut object = object.map_err(Box::new)?;
        (self.slim)(&mut object);
        match Packed::new(&object, (self.facts)(&object)) {
            Ok(packed) => Ok((object.meta().clone(), Arc::new(packed))),
            Err(error) => Err(Box::new(InvalidObject { error: error.to_string(), metadata: object.meta().clone() })),
        }
    }

    fn start(self, readiness: Arc<Readiness>, metrics: Arc<Metrics>) -> Watch<K> {
        let cache = Arc::new(Cache::<K>::default());
        readiness.lacks(&K::plural(&()), format!("lists {} for the first time", K::plural(&())));
        let task = tokio::spawn(run(self, cache.clone(), readiness, metrics));
        Watch { cache, _task: Arc::new(AbortOnDropHandle::new(task)) }
    }
}

struct Cache<K: Watched> {
    objects: Objects<K>,
    listed: SetOnce<()>,
    unreadable: Mutex<HashMap<ObjectRef<K>, String>>,
    subscribers: Mutex<Vec<UnboundedSender<Change<Packed<K>>>>>,
}

impl<K: Watched> Default for Cache<K> {
    fn default() -> Self {
        Self {
            objects: Objects::default(),
            listed: SetOnce::new(),
            unreadable: Mutex::default(),
            subscribers: Mutex::default(),
        }
    }
}

impl<K: Watched> Cache<K> {
    fn publish(&self, change: &Change<Packed<K>>) {
        lock(&self.subscribers).retain(|subscriber| subscriber.unbounded_send(change.clone()).is_ok());
    }

    /// Keeps the object and publishes that.
    fn applied(&self, meta: &ObjectMeta, object: Arc<Packed<K>>) {
        lock(&self.unreadable).remove(&key(meta));
        self.objects.insert(meta, object.clone());
        self.publish(&Change::Applied(object));
    }

    /// Forgets the object that was kept, since it cannot be read any more.
    fn cannot_read(&self, invalid: &InvalidObject) {
        let key = key(&invalid.metadata);
        self.objects.remove(key.namespace.as_deref().unwrap_or_default(), &key.name);
        lock(&self.unreadable).insert(key, trimmed(&invalid.error));
        self.publish(&Change::Unreadable(Arc::new(invalid.metadata.clone())));
    }

    fn gone(&self, meta: ObjectMeta, object: Option<Arc<Packed<K>>>) {
        let key = key(&meta);
        self.objects.remove(key.namespace.as_deref().unwrap_or_default(), &key.name);
        lock(&self.unreadable).remove(&key);
        self.publish(&object.map_or_else(|| Change::Unreadable(Arc::new(meta)), Change::Gone));
    }

    /// All have been listed. What went away unseen is published too.
    fn listed(&self, objects: Objects<K>, invalid: Vec<InvalidObject>) {
        let gone = self.objects.replace(objects);
        let reasons = invalid.iter().map(|invalid| (key(&invalid.metadata), trimmed(&invalid.error)));
        *lock(&self.unreadable) = reasons.collect();
        // It is listed again after each failure.
        let _ = self.listed.set(());
        gone.into_iter().for_each(|object| self.publish(&Change::Gone(object)));
        self.objects.all(|_| true).into_iter().for_each(|(_, object)| self.publish(&Change::Applied(object)));
        invalid.into_iter().for_each(|invalid| self.publish(&Change::Unreadable(Arc::new(invalid.metadata))));
    }
}

fn key<K: Watched>(meta: &ObjectMeta) -> ObjectRef<K> {
    let object = ObjectRef::new(meta.name.as_deref().unwrap_or_default());
    object.within(meta.namespace.as_deref().unwrap_or_default())
}

async fn run<K: Watched>(plan: Plan<K>, cache: Arc<Cache<K>>, readiness: Arc<Readiness>, metrics: Arc<Metrics>) {
    let plural = K::plural(&());
    let mut backoff = DefaultBackoff::default();
    loop {
        let listed = || {
            readiness.has(&plural);
            backoff = DefaultBackoff::default();
        };
        let error = until_it_fails(&plan, &cache, listed).await;
        let pause = backoff.next().unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
        let why = trimmed(&cause(&error));
        tracing::warn!(%plural, ?pause, "the watch failed and lists again: {why}");
        metrics.watch_failed(&plural);
        readiness.lacks(&plural, format!("cannot list or watch {plural}: {why}"));
        tokio::time::sleep(pause).await;
    }
}

async fn until_it_fails<K: Watched>(plan: &Plan<K>, cache: &Cache<K>, mut listed: impl FnMut()) -> watcher::Error {
    let mut events = pin!(watcher(plan.api.clone(), plan.config.clone()));
    let (mut objects, mut invalid) = (Objects::default(), vec![]);
    loop {
        match events.next().await {
            Some(Ok(Event::Init)) => (objects, invalid) = (Objects::default(), vec![]),
            Some(Ok(Event::InitApply(object))) => match plan.kept(object) {
                Ok((meta, object)) => objects.insert(&meta, object),
                Err(object) => {
                    let _ = plan.unreadable.unbounded_send((*object).clone());
                    invalid.push(*object);
                }
            },
            Some(Ok(Event::InitDone)) => {
                cache.listed(std::mem::take(&mut objects), std::mem::take(&mut invalid));
                listed();
            }
            Some(Ok(Event::Apply(object))) => match plan.kept(object) {
                Ok((meta, object)) => cache.applied(&meta, object),
                Err(object) => {
                    cache.cannot_read(&object);
                    let _ = plan.unreadable.unbounded_send(*object);
                }
            },
            Some(Ok(Event::Delete(object))) => match plan.kept(object) {
                Ok((meta, object)) => cache.gone(meta, Some(object)),
                Err(object) => cache.gone(object.metadata, None),
            },
            Some(Err(error)) => return error,
            None => return watcher::Error::NoResourceVersion,
        }
    }
}

/// The API server's own sentence where there is one.
fn cause(error: &watcher::Error) -> String {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    let status = match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status)) => status,
        WatchError(status) => status,
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => return chain(error),
        other => return other.to_string(),
    };
    match status.code {
        404 => "the API server does not know them: install the CustomResourceDefinitions".to_owned(),
        _ => status.message.clone(),
    }
}

/// An error with what is behind it: "client error (Connect)" alone says nothing.
fn chain(error: &kube::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}
