//! The service account that pods have where nothing says otherwise.

use k8s_openapi::api::core::v1::{LocalObjectReference, ServiceAccount};
use kube::{Api, Client, Resource, ResourceExt, core::NamespaceResourceScope};

use crate::writer::{Error, bounded};

/// The account of a namespace, to which its administrators give the credentials of their registry.
const OF_NAMESPACE: &str = "default";

/// The pull secrets of that account in the namespace of `owner`: accounts that are made there have them, too.
pub async fn pull_secrets<K>(client: &Client, owner: &K) -> Result<Option<Vec<LocalObjectReference>>, Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &owner.namespace().unwrap_or_default());
    let found = bounded("read the service account \"default\" beside", owner, accounts.get_opt(OF_NAMESPACE)).await?;
    Ok(found.and_then(|account| account.image_pull_secrets))
}
