//! The cluster as kubectl would reach it.

use std::{error::Error, fmt::Debug, future::Future, time::Duration};

use kube::{
    Api, Client, Config, Resource,
    config::{KubeConfigOptions, Kubeconfig},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::{
    arguments::Connection,
    failure::{Failure, innermost},
    proxy::{self, Environment},
};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than a watch is left open: a connection that is silent for so long is dead.
const SILENCE: Duration = Duration::from_secs(45);

/// A cluster and a namespace in it.
pub struct Cluster {
    client: Client,
    /// That of the arguments, or else of the context.
    pub namespace: String,
}

impl Cluster {
    /// Reads the kubeconfig; nothing is sent yet.
    pub async fn connect(connection: &Connection) -> Result<Self, Failure> {
        let mut config = config(connection).await?;
        config.connect_timeout = Some(Duration::from_secs(10));
        config.read_timeout = Some(SILENCE);
        let namespace = connection.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| Failure::Kubeconfig(innermost(&error)))?;
        Ok(Self { client, namespace })
    }

    /// The objects of one kind in the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// One object.
    pub async fn get<K>(&self, kind: &'static str, name: &str) -> Result<K, Failure>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let what = format!("{kind} \"{name}\" cannot be read");
        let found = answer(&what, self.api().get_opt(name)).await?;
        found.ok_or_else(|| Failure::NotFound { kind, name: name.to_owned(), namespace: self.namespace.clone() })
    }
}

/// The answer to a request, if it comes in time.
pub async fn answer<T>(what: &str, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    let answered = timeout(PATIENCE, request).await.map_err(|_| Failure::Timeout(what.to_owned(), PATIENCE))?;
    answered.map_err(|error| Failure::of_request(what, &error))
}

async fn config(connection: &Connection) -> Result<Config, Failure> {
    let Connection { context, kubeconfig, .. } = connection;
    let read = match kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    // Without a kubeconfig it may be a pod that asks.
    if read.is_err() && context.is_none() && kubeconfig.is_none() {
        // Its reason is that of the kubeconfig: whoever is in a pod knows that already.
        return Config::infer().await.map_err(|error| Failure::Kubeconfig(chain(error.source().unwrap_or(&error))));
    }
    let kubeconfig = read.map_err(|error| Failure::Kubeconfig(chain(&error)))?;
    let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await;
    let mut config = config.map_err(|error| Failure::Kubeconfig(chain(&error)))?;
    let environment = Environment::of_process();
    config.proxy_url =
        proxy::of(&config, &kubeconfig, context.as_deref(), &environment).map_err(Failure::Kubeconfig)?;
    Ok(config)
}

/// The outermost reason names the file, the innermost what is wrong with it.
fn chain(error: &dyn Error) -> String {
    let (outer, inner) = (error.to_string(), innermost(error));
    if outer.contains(&inner) { outer } else { format!("{outer}: {inner}") }
}
