//! The objects that a watch knows, each as deflated JSON: in the structures of the Kubernetes API it would take many
//! times the memory.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};

use flate2::{Compression, bufread::DeflateDecoder, write::DeflateEncoder};
use kube::{core::ObjectMeta, runtime::reflector::ObjectRef};

use super::{Facts, Watched};
use crate::lock;

/// One object.
#[derive(Debug)]
pub struct Packed<K> {
    /// By what it is found without being unpacked.
    pub facts: Facts,
    deflated: Box<[u8]>,
    kind: PhantomData<fn() -> K>,
}

impl<K: Watched> Packed<K> {
    /// Of an object, which is found by these facts.
    pub fn new(object: &K, facts: Facts) -> io::Result<Self> {
        // In one piece: a write of its own for each text is slow.
        let json = serde_json::to_vec(object)?;
        let mut encoder = DeflateEncoder::new(vec![], Compression::fast());
        encoder.write_all(&json)?;
        Ok(Self { facts, deflated: encoder.finish()?.into_boxed_slice(), kind: PhantomData })
    }

    /// The object as it was packed.
    pub fn unpack(&self) -> Option<Arc<K>> {
        // It was read from the same form before, so this cannot fail.
        self.read().inspect_err(|error| tracing::error!(kind = %K::kind(&()), "cannot be unpacked: {error}")).ok()
    }

    fn read(&self) -> io::Result<Arc<K>> {
        let mut json = vec![];
        DeflateDecoder::new(&*self.deflated).read_to_end(&mut json)?;
        Ok(Arc::new(serde_json::from_slice(&json)?))
    }
}

type OfNamespace<K> = HashMap<Box<str>, Arc<Packed<K>>>;

/// The objects of a kind by namespace and name.
#[derive(Debug)]
pub struct Objects<K>(Mutex<HashMap<Box<str>, OfNamespace<K>>>);

impl<K> Default for Objects<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Watched> Objects<K> {
    /// Keeps an object in the place of what had its name.
    pub fn insert(&self, meta: &ObjectMeta, object: Arc<Packed<K>>) {
        let (namespace, name) =
            (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        let mut all = lock(&self.0);
        match all.get_mut(namespace) {
            Some(here) => drop(here.insert(name.into(), object)),
            None => drop(all.insert(namespace.into(), HashMap::from([(name.into(), object)]))),
        }
    }

    /// Forgets the object of that name.
    pub fn remove(&self, namespace: &str, name: &str) {
        let mut all = lock(&self.0);
        let Some(here) = all.get_mut(namespace) else { return };
        here.remove(name);
        if here.is_empty() {
            all.remove(namespace);
        }
    }

    /// Takes all that `listed` has instead, and returns what is gone.
    pub fn replace(&self, listed: Self) -> Vec<Arc<Packed<K>>> {
        let mut all = lock(&self.0);
        let listed = listed.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *all, listed);
        let is_gone = |namespace: &str, name: &str| !all.get(namespace).is_some_and(|here| here.contains_key(name));
        let each = before.into_iter().flat_map(|(namespace, here)| {
            here.into_iter().map(move |(name, object)| (namespace.clone(), name, object))
        });
        each.filter(|(namespace, name, _)| is_gone(namespace, name)).map(|(_, _, object)| object).collect()
    }

    /// The object of that name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Packed<K>>> {
        lock(&self.0).get(namespace)?.get(name).cloned()
    }

    /// The objects of a namespace for whose name and facts `wanted` holds.
    pub fn of_namespace(&self, namespace: &str, wanted: impl Fn(&str, &Facts) -> bool) -> Vec<Arc<Packed<K>>> {
        let all = lock(&self.0);
        let here = all.get(namespace).into_iter().flatten();
        here.filter(|(name, object)| wanted(name, &object.facts)).map(|(_, object)| object.clone()).collect()
    }

    /// The objects of all namespaces for whose facts `wanted` holds, with their names.
    pub fn all(&self, wanted: impl Fn(&Facts) -> bool) -> Vec<(ObjectRef<K>, Arc<Packed<K>>)> {
        let all = lock(&self.0);
        let each =
            all.iter().flat_map(|(namespace, here)| here.iter().map(move |(name, object)| (namespace, name, object)));
        let wanted = each.filter(|(_, _, object)| wanted(&object.facts));
        wanted.map(|(namespace, name, object)| (ObjectRef::new(name).within(namespace), object.clone())).collect()
    }
}

#[cfg(test)]
mod tests;
