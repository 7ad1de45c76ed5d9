//! The one writer: everything that the operator changes in the cluster goes through a [`Writer`].

use std::{fmt::Debug, time::Duration};

use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy},
    core::{NamespaceResourceScope, ObjectMeta},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::ownership::{self, Taken};

/// The longest that one request may take: the client's own retries have no such bound.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A resourceVersion that no object has, since the first write to an empty etcd makes revision 2: server-side apply
/// with it creates an object, and is a conflict where there is one.
const OF_NO_OBJECT: &str = "1";

/// Why a request to the API server failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer.
    #[error("could not {verb} {kind} {name}: no answer from the API server within {} s", REQUEST_TIMEOUT.as_secs())]
    Timeout {
        /// What was tried.
        verb: &'static str,
        /// On which kind.
        kind: String,
        /// On which object.
        name: String,
    },
    /// The API server refused, or could not be reached.
    #[error("could not {verb} {kind} {name}: {}", cause(source))]
    Request {
        /// What was tried.
        verb: &'static str,
        /// On which kind.
        kind: String,
        /// On which object.
        name: String,
        /// Why not.
        source: Box<kube::Error>,
    },
    /// The name of an object that is to be made is somebody else's.
    #[error("{}", .0.sentence)]
    Taken(Taken),
}

impl Error {
    /// Whether somebody else wrote or made the object in the meantime.
    pub fn is_conflict(&self) -> bool {
        matches!(self.api_status(), Some(status) if status.is_conflict() || status.is_already_exists())
    }

    /// Whether the object is gone.
    pub fn is_not_found(&self) -> bool {
        matches!(self.api_status(), Some(status) if status.is_not_found())
    }

    /// Whether the API server would refuse the same again: the object is wrong, too large or of an unknown kind, or may
    /// not be written.
    pub fn is_refusal(&self) -> bool {
        self.api_status().is_some_and(|status| match status.code {
            400 | 403 | 405 | 413 | 415 | 422 => true,
            // Of a missing object it says the name; without one it is the kind that is unknown.
            404 => status.details.as_ref().is_none_or(|details| details.name.is_empty()),
            _ => status.is_invalid() || status.is_forbidden(),
        })
    }

    /// Whether the API server could not handle the request, or misses another object that this one needs. That is
    /// temporary, or about the object: see [`Retries::is_lasting`](crate::retries::Retries::is_lasting).
    pub fn may_be_permanent(&self) -> bool {
        matches!(self.api_status(), Some(status) if status.code == 500 || status.code == 404)
    }

    /// Whose the name of the object is, if it is somebody else's.
    pub fn taken(&self) -> Option<&Taken> {
        match self {
            Self::Taken(taken) => Some(taken),
            Self::Timeout { .. } | Self::Request { .. } => None,
        }
    }

    fn api_status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Request { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::Timeout { .. } | Self::Taken(_) => None,
        }
    }
}

/// The API server's own sentence where there is one.
fn cause(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Writes with server-side apply under one field manager, taking over fields that others have set.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    manager: &'static str,
}

impl Writer {
    /// A writer for one controller.
    pub fn new(client: Client, manager: &'static str) -> Self {
        Self { client, manager }
    }

    /// Makes `object` what it says, and returns it as it now is, status included. One of that name that is there
    /// already is only written to if it has the same controller.
    ///
    /// # Errors
    /// [`Error::Taken`] if it has another one or none.
    pub async fn apply<K>(&self, object: &K) -> Result<K, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        match self.find(object).await? {
            None => self.create(object).await,
            Some(found) => self.apply_over(object, &found).await,
        }
    }

    /// Makes `object` what it says where `found` is.
    ///
    /// # Errors
    /// [`Error::Taken`] if that has another controller; a conflict if it has been replaced since it was read.
    pub async fn apply_over<K>(&self, object: &K, found: &K) -> Result<K, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        if let Some(taken) = ownership::taken(found, ownership::controller_of(object)) {
            return Err(Error::Taken(taken));
        }
        let mut object = object.clone();
        object.meta_mut().uid = found.uid();
        self.patch("apply", &object).await
    }

    /// Makes `object` unless it is there. One that is there and has the same controller is returned as it is: whoever
    /// made it did not live to see it.
    ///
    /// # Errors
    /// [`Error::Taken`] if one of that name is there that has another controller or none.
    pub async fn create<K>(&self, object: &K) -> Result<K, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let mut new = object.clone();
        new.meta_mut().resource_version = Some(OF_NO_OBJECT.into());
        match self.patch("create", &new).await {
            Err(error) if error.is_conflict() => match self.find(object).await? {
                Some(found) => match ownership::taken(&found, ownership::controller_of(object)) {
                    Some(taken) => Err(Error::Taken(taken)),
                    None => Ok(found),
                },
                // It has just gone.
                None => Err(error),
            },
            made => made,
        }
    }

    async fn patch<K>(&self, verb: &'static str, object: &K) -> Result<K, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let patch = Patch::Apply(object);
        bounded(verb, object, self.api(object).patch(&object.name_any(), &self.forced(), &patch)).await
    }

    async fn find<K>(&self, object: &K) -> Result<Option<K>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        bounded("read", object, self.api(object).get_opt(&object.name_any())).await
    }

    /// Merges `change` into `object`; one that is gone needs no change.
    pub async fn merge<K>(&self, object: &K, mut change: Value) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let how = PatchParams { field_manager: Some(self.manager.into()), ..PatchParams::default() };
        if let Some(uid) = object.uid() {
            change["metadata"]["uid"] = json!(uid);
        }
        let (api, name, change) = (self.api(object), object.name_any(), Patch::Merge(change));
        match bounded("change", object, api.patch(&name, &how, &change)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes the status of `object` if `desired` differs from `current`; says whether it did.
    ///
    /// With `locked` the write fails with a conflict if anybody has changed the object since it was read.
    pub async fn apply_status<K, S>(&self, object: &K, current: &S, desired: &S, locked: bool) -> Result<bool, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
        S: Serialize + PartialEq,
    {
        if current == desired {
            return Ok(false);
        }
        let metadata = ObjectMeta {
            name: object.meta().name.clone(),
            uid: object.uid(),
            resource_version: object.resource_version().filter(|_| locked),
            ..ObjectMeta::default()
        };
        let patch = Patch::Apply(json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": metadata,
            "status": desired,
        }));
        let (api, name, forced) = (self.api(object), object.name_any(), self.forced());
        bounded("write the status of", object, api.patch_status(&name, &forced, &patch)).await?;
        Ok(true)
    }

    /// Merges `change` into the status of `object`; one that is gone needs no change.
    pub async fn merge_status<K>(&self, object: &K, change: Value) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let how = PatchParams { field_manager: Some(self.manager.into()), ..PatchParams::default() };
        let (api, name) = (self.api(object), object.name_any());
        let change = Patch::Merge(json!({ "metadata": { "uid": object.uid() }, "status": change }));
        match bounded("change the status of", object, api.patch_status(&name, &how, &change)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes `object`, and what it owns in the background. One that is gone already is as good, and so is one that
    /// another object of its name has replaced.
    pub async fn delete<K>(&self, object: &K) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        self.delete_with("delete", object, PropagationPolicy::Background).await
    }

    /// Deletes `object` and leaves what it owns as it is; one that is gone already is as good.
    pub async fn delete_alone<K>(&self, object: &K) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        self.delete_with("replace", object, PropagationPolicy::Orphan).await
    }

    /// One that is gone, or that another object of its name has replaced, is as good as deleted.
    async fn delete_with<K>(&self, verb: &'static str, object: &K, owned: PropagationPolicy) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let how = DeleteParams {
            propagation_policy: Some(owned),
            preconditions: Some(Preconditions { uid: object.uid(), ..Preconditions::default() }),
            ..DeleteParams::default()
        };
        match bounded(verb, object, self.api(object).delete(&object.name_any(), &how)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn api<K>(&self, object: &K) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    fn forced(&self) -> PatchParams {
        PatchParams::apply(self.manager).force()
    }
}

/// The answer to `request`, or an error that says what was tried on which object.
pub async fn bounded<K, T>(
    verb: &'static str,
    object: &K,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error>
where
    K: Resource<DynamicType = ()>,
{
    let (kind, name) = (K::kind(&()).into_owned(), object.name_any());
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(Error::Request { verb, kind, name, source: Box::new(source) }),
        Err(_) => Err(Error::Timeout { verb, kind, name }),
    }
}
