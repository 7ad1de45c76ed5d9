//! One watch for each kind in the whole process: a cache of the kind's objects, and a stream of their changes.
//!
//! What the API server sends is read object by object: one that cannot be read is left out of the cache, is told so in its
//! own status, and harms no other. A watch that fails lists again after a pause, and the operator is not ready meanwhile.

pub mod kinds;
mod slim;
mod unreadable;

use std::{
    collections::HashMap,
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
        reflector::{
            ObjectRef, Store,
            store::{Writer, WriterDropped},
        },
        watcher::{self, DefaultBackoff, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio_util::task::AbortOnDropHandle;

use crate::{health::Readiness, lock, logging::trimmed, metrics::Metrics};

pub use self::kinds::Watches;

/// The longest pause before a watch that failed starts again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A kind that can be watched.
pub trait Watched:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}

impl<K> Watched for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// Something that happened to an object.
#[derive(Clone, Debug)]
pub enum Change<K> {
    /// It is new, changed, or listed again.
    Applied(Arc<K>),
    /// It is gone.
    Gone(Arc<K>),
    /// It cannot be read (any more), or is gone without ever having been read.
    Unreadable(Arc<ObjectMeta>),
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
    /// The objects that can be read. Empty until [`Watch::ready`].
    pub fn store(&self) -> &Store<K> {
        &self.cache.store
    }

    /// Waits until all objects were listed once.
    pub async fn ready(&self) -> Result<(), WriterDropped> {
        self.cache.store.wait_until_ready().await
    }

    /// The object of that name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.cache.store.get(&ObjectRef::new(name).within(namespace))
    }

    /// The objects of a namespace for which `wanted` holds.
    pub fn list(&self, namespace: &str, wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        let here = |object: &K| object.meta().namespace.as_deref() == Some(namespace);
        self.cache.store.state_filter(|object| here(object) && wanted(object))
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
        for object in self.cache.store.state() {
            let _ = sender.unbounded_send(Change::Applied(object));
        }
        subscribers.push(sender);
        receiver
    }
}

/// How a kind is watched.
pub(crate) struct Plan<K: Watched> {
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
    /// Takes away what nobody needs of an object that is kept.
    slim: fn(&mut K),
    /// Gets the objects that cannot be read, to tell them so.
    unreadable: UnboundedSender<InvalidObject>,
}

impl<K: Watched> Plan<K> {
    /// What is kept of an object that was read. It is a copy, since the lists and texts of what was read have room for more
    /// than is in them.
    fn kept(&self, mut object: K) -> K {
        (self.slim)(&mut object);
        object.clone()
    }

    fn start(self, readiness: Arc<Readiness>, metrics: Arc<Metrics>) -> Watch<K> {
        let writer = Writer::<K>::new(());
        let cache =
            Arc::new(Cache { store: writer.as_reader(), unreadable: Mutex::default(), subscribers: Mutex::default() });
        readiness.lacks(&K::plural(&()), format!("lists {} for the first time", K::plural(&())));
        let task = tokio::spawn(run(self, writer, cache.clone(), readiness, metrics));
        Watch { cache, _task: Arc::new(AbortOnDropHandle::new(task)) }
    }
}

struct Cache<K: Watched> {
    store: Store<K>,
    unreadable: Mutex<HashMap<ObjectRef<K>, String>>,
    subscribers: Mutex<Vec<UnboundedSender<Change<K>>>>,
}

impl<K: Watched> Cache<K> {
    fn publish(&self, change: &Change<K>) {
        lock(&self.subscribers).retain(|subscriber| subscriber.unbounded_send(change.clone()).is_ok());
    }

    /// Keeps the object and publishes that.
    fn applied(&self, writer: &mut Writer<K>, object: K) {
        let key = ObjectRef::from_obj(&object);
        lock(&self.unreadable).remove(&key);
        writer.apply_watcher_event(&Event::Apply(object));
        if let Some(object) = self.store.get(&key) {
            self.publish(&Change::Applied(object));
        }
    }

    /// Forgets the object that was kept, since it cannot be read any more.
    fn cannot_read(&self, writer: &mut Writer<K>, invalid: &InvalidObject) {
        let key = key(&invalid.metadata);
        lock(&self.unreadable).insert(key.clone(), trimmed(&invalid.error));
        if let Some(before) = self.store.get(&key) {
            writer.apply_watcher_event(&Event::Delete((*before).clone()));
        }
        self.publish(&Change::Unreadable(Arc::new(invalid.metadata.clone())));
    }

    fn gone(&self, writer: &mut Writer<K>, object: DeserializeGuard<K>) {
        let key = key(object.meta());
        lock(&self.unreadable).remove(&key);
        match object.0 {
            Ok(object) => {
                writer.apply_watcher_event(&Event::Delete(object.clone()));
                self.publish(&Change::Gone(Arc::new(object)));
            }
            Err(invalid) => self.publish(&Change::Unreadable(Arc::new(invalid.metadata))),
        }
    }

    /// All have been listed. What went away unseen is published too.
    fn listed(&self, writer: &mut Writer<K>, invalid: Vec<InvalidObject>) {
        let before = self.store.state();
        writer.apply_watcher_event(&Event::InitDone);
        let reasons = invalid.iter().map(|invalid| (key(&invalid.metadata), trimmed(&invalid.error)));
        *lock(&self.unreadable) = reasons.collect();
        let gone = before.into_iter().filter(|object| self.store.get(&ObjectRef::from_obj(object.as_ref())).is_none());
        gone.for_each(|object| self.publish(&Change::Gone(object)));
        self.store.state().into_iter().for_each(|object| self.publish(&Change::Applied(object)));
        invalid.into_iter().for_each(|invalid| self.publish(&Change::Unreadable(Arc::new(invalid.metadata))));
    }
}

fn key<K: Watched>(meta: &ObjectMeta) -> ObjectRef<K> {
    let object = ObjectRef::new(meta.name.as_deref().unwrap_or_default());
    object.within(meta.namespace.as_deref().unwrap_or_default())
}

async fn run<K: Watched>(
    plan: Plan<K>,
    mut writer: Writer<K>,
    cache: Arc<Cache<K>>,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
) {
    let plural = K::plural(&());
    let mut backoff = DefaultBackoff::default();
    loop {
        let error = until_it_fails(&plan, &mut writer, &cache, || readiness.has(&plural)).await;
        let pause = backoff.next().unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
        let why = trimmed(&cause(&error));
        tracing::warn!(%plural, ?pause, "the watch failed and lists again: {why}");
        metrics.watch_failed(&plural);
        readiness.lacks(&plural, format!("cannot list or watch {plural}: {why}"));
        tokio::time::sleep(pause).await;
    }
}

async fn until_it_fails<K: Watched>(
    plan: &Plan<K>,
    writer: &mut Writer<K>,
    cache: &Cache<K>,
    listed: impl Fn(),
) -> watcher::Error {
    let mut events = pin!(watcher(plan.api.clone(), plan.config.clone()));
    let mut invalid = vec![];
    loop {
        match events.next().await {
            Some(Ok(Event::Init)) => {
                writer.apply_watcher_event(&Event::Init);
                invalid.clear();
            }
            Some(Ok(Event::InitApply(DeserializeGuard(Ok(object))))) => {
                writer.apply_watcher_event(&Event::InitApply(plan.kept(object)));
            }
            Some(Ok(Event::InitApply(DeserializeGuard(Err(object))))) => {
                let _ = plan.unreadable.unbounded_send(object.clone());
                invalid.push(object);
            }
            Some(Ok(Event::InitDone)) => {
                cache.listed(writer, std::mem::take(&mut invalid));
                listed();
            }
            Some(Ok(Event::Apply(DeserializeGuard(Ok(object))))) => {
                cache.applied(writer, plan.kept(object));
            }
            Some(Ok(Event::Apply(DeserializeGuard(Err(object))))) => {
                cache.cannot_read(writer, &object);
                let _ = plan.unreadable.unbounded_send(object);
            }
            Some(Ok(Event::Delete(object))) => cache.gone(writer, object),
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
