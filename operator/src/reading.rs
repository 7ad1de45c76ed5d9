//! Reads objects from the API server itself, where what the watches know may be old already. One that cannot be read is
//! no error: it comes as such.

use kube::{
    Api, Client, Resource,
    api::ListParams,
    core::{DeserializeGuard, error_boundary::InvalidObject},
};

use crate::{
    watch::Watched,
    writer::{Error, bounded},
};

/// The object of that name, if it is there; `about` is for whose sake.
pub async fn get<K: Watched>(
    client: &Client,
    about: &impl Resource<DynamicType = ()>,
    verb: &'static str,
    name: &str,
) -> Result<Option<Result<K, Box<InvalidObject>>>, Error> {
    let found = bounded(verb, about, api::<K>(client, about).get_opt(name)).await?;
    Ok(found.map(|DeserializeGuard(object)| object.map_err(Box::new)))
}

/// The objects in the namespace of `about` that have those labels.
pub async fn list<K: Watched>(
    client: &Client,
    about: &impl Resource<DynamicType = ()>,
    verb: &'static str,
    labels: &str,
) -> Result<Vec<Result<K, Box<InvalidObject>>>, Error> {
    let labelled = ListParams::default().labels(labels);
    let found = bounded(verb, about, api::<K>(client, about).list(&labelled)).await?;
    Ok(found.items.into_iter().map(|DeserializeGuard(object)| object.map_err(Box::new)).collect())
}

fn api<K: Watched>(client: &Client, about: &impl Resource<DynamicType = ()>) -> Api<DeserializeGuard<K>> {
    Api::namespaced(client.clone(), about.meta().namespace.as_deref().unwrap_or_default())
}
