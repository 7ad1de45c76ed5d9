//! The one writer: everything that the operator changes in the cluster goes through a [`Writer`].

use std::{fmt::Debug, time::Duration};

use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy},
    core::{NamespaceResourceScope, ObjectMeta},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

/// The longest that one request may take: the client's own retries have no such bound.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

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

    /// Whether the API server could not handle the request. It may be the object: see
    /// [`Retries::is_lasting`](crate::retries::Retries::is_lasting).
    pub fn is_internal(&self) -> bool {
        matches!(self.api_status(), Some(status) if status.code == 500)
    }

    fn api_status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Request { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::Timeout { .. } => None,
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

    /// Makes `object` what it says, and returns it as it now is, status included.
    pub async fn apply<K>(&self, object: &K) -> Result<K, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let patch = Patch::Apply(object);
        bounded("apply", object, self.api(object).patch(&object.name_any(), &self.forced(), &patch)).await
    }

    /// Makes `object`, which is a conflict if one of that name is there already, whoever made it.
    pub async fn create<K>(&self, object: &K) -> Result<K, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let how = PostParams { field_manager: Some(self.manager.into()), ..PostParams::default() };
        bounded("create", object, self.api(object).create(&how, object)).await
    }

    /// Merges `change` into `object`; one that is gone needs no change.
    pub async fn merge<K>(&self, object: &K, change: serde_json::Value) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let how = PatchParams { field_manager: Some(self.manager.into()), ..PatchParams::default() };
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
    pub async fn merge_status<K>(&self, object: &K, change: serde_json::Value) -> Result<(), Error>
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

    /// Deletes `object`, and what it owns in the background; one that is gone already is as good.
    pub async fn delete<K>(&self, object: &K) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let how = DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
        match bounded("delete", object, self.api(object).delete(&object.name_any(), &how)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes `object` and leaves what it owns as it is; one that is gone already is as good.
    pub async fn delete_alone<K>(&self, object: &K) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let how = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
        match bounded("replace", object, self.api(object).delete(&object.name_any(), &how)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
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
