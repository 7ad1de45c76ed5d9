//! A namespace of the cluster, and what a user does there with kubectl.

use std::{fmt::Debug, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Namespace, Pod},
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use tailrace_crds::{LoadTest, Pipeline, pipeline::PipelineStatus};
use tokio::time::{Instant, sleep};

/// How often a state that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A client, and the namespace that the test made for itself.
pub struct Cluster {
    /// Talks to the API server of `KUBECONFIG`.
    pub client: Client,
    /// The namespace, labelled with the restricted level of Pod Security.
    pub namespace: String,
}

impl Cluster {
    /// Makes the namespace anew.
    ///
    /// # Errors
    /// If no cluster answers: the sentence says how to run this test.
    pub async fn with_namespace(namespace: &str) -> Result<Self> {
        ensure!(
            std::env::var_os("KUBECONFIG").is_some(),
            "KUBECONFIG is not set: run tests/end-to-end/run, which makes a cluster of its own, or export KUBECONFIG"
        );
        let client = Client::try_default().await.context("no cluster answers at KUBECONFIG")?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let mut object = Namespace::default();
        object.metadata.name = Some(namespace.to_owned());
        object.labels_mut().insert("pod-security.kubernetes.io/enforce".into(), "restricted".into());
        namespaces.create(&PostParams::default(), &object).await.context("making the namespace")?;
        Ok(Self { client, namespace: namespace.to_owned() })
    }

    /// The API of a kind in this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies an object given as YAML, as `kubectl apply` would.
    ///
    /// # Errors
    /// If the YAML is not of the kind, or the API server refuses it.
    pub async fn apply<K>(&self, yaml: &str) -> Result<K>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Serialize,
        K::DynamicType: Default,
    {
        let object: serde_json::Value = serde_yaml_ng::from_str(yaml)?;
        let name = object["metadata"]["name"].as_str().context("the object has no name")?.to_owned();
        let parameters = PatchParams::apply("end-to-end").force();
        Ok(self.api::<K>().patch(&name, &parameters, &Patch::Apply(&object)).await?)
    }

    /// Waits until the object satisfies `is`, and returns it.
    ///
    /// # Errors
    /// After `limit`, with the last state seen.
    pub async fn wait<K>(&self, name: &str, limit: Duration, is: impl Fn(&K) -> bool) -> Result<K>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let deadline = Instant::now() + limit;
        loop {
            let found = self.api::<K>().get_opt(name).await?;
            match found {
                Some(object) if is(&object) => return Ok(object),
                last if Instant::now() > deadline => bail!("{name}: not within {limit:?}; last seen: {last:#?}"),
                _ => sleep(LOOK).await,
            }
        }
    }

    /// Waits until the Pipeline, as it is applied now, is Ready.
    ///
    /// # Errors
    /// After two minutes.
    pub async fn ready(&self, pipeline: &str) -> Result<Pipeline> {
        let ready = |p: &Pipeline| {
            let current = |s: &&PipelineStatus| s.observed_generation == p.metadata.generation;
            p.status.as_ref().filter(current).is_some_and(|s| holds(&s.conditions, "Ready"))
        };
        self.wait(pipeline, Duration::from_secs(120), ready).await
    }

    /// Waits until the LoadTest is Finished, whatever came of it.
    ///
    /// # Errors
    /// After `limit`.
    pub async fn finished(&self, load_test: &str, limit: Duration) -> Result<LoadTest> {
        let finished = |t: &LoadTest| t.status.as_ref().is_some_and(|s| holds(&s.conditions, "Finished"));
        self.wait(load_test, limit, finished).await
    }

    /// Deletes an object in the background, as kubectl does.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn delete<K>(&self, name: &str) -> Result<()>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        self.api::<K>().delete(name, &DeleteParams::background()).await?;
        Ok(())
    }

    /// The names of the objects of a kind that carry the labels.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn names<K>(&self, labels: &str) -> Result<Vec<String>>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let list = self.api::<K>().list(&ListParams::default().labels(labels)).await?;
        Ok(list.iter().map(ResourceExt::name_any).collect())
    }

    /// Waits until no object of a kind carries the labels.
    ///
    /// # Errors
    /// After `limit`, naming what is left.
    pub async fn gone<K>(&self, labels: &str, limit: Duration) -> Result<()>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let deadline = Instant::now() + limit;
        loop {
            let left = self.names::<K>(labels).await?;
            if left.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "still there after {limit:?}: {left:?}");
            sleep(LOOK).await;
        }
    }

    /// Ends the operator's pods at once, without a chance to say goodbye.
    ///
    /// # Errors
    /// If there is none.
    pub async fn kill_operator(&self) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), "tailrace-system");
        let operators = pods.list(&ListParams::default().labels("app.kubernetes.io/component=operator")).await?;
        ensure!(!operators.items.is_empty(), "no operator runs in tailrace-system");
        for pod in operators {
            pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
        }
        Ok(())
    }
}

/// Whether the condition of this type is True.
pub fn holds(conditions: &[Condition], condition: &str) -> bool {
    conditions.iter().any(|c| c.type_ == condition && c.status == "True")
}

/// Whether the condition of this type has this reason.
pub fn has_reason(conditions: &[Condition], condition: &str, reason: &str) -> bool {
    conditions.iter().any(|c| c.type_ == condition && c.reason == reason)
}
