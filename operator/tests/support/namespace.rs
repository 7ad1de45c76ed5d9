//! A namespace for one test, and the few ways in which tests look into it.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::api::{core::v1 as core, events::v1::Event, rbac::v1::RoleBinding};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A namespace for one test.
#[derive(Clone)]
pub struct Namespace {
    /// The administrator.
    pub client: Client,
    /// The name.
    pub name: String,
}

/// A kind that lives in namespaces.
pub trait Kind:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl<K> Kind for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl Namespace {
    /// A new namespace at the restricted level of Pod Security.
    pub async fn create(client: Client) -> Self {
        let namespace = serde_json::from_value(json!({
            "metadata": {
                "generateName": "test-",
                "labels": { "pod-security.kubernetes.io/enforce": "restricted" },
            },
        }));
        let namespaces = Api::<core::Namespace>::all(client.clone());
        let name = namespaces.create(&PostParams::default(), &namespace.unwrap()).await.unwrap().name_any();
        Self { client, name }
    }

    /// The objects of one kind.
    pub fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Creates an object from YAML.
    pub async fn create_yaml<K: Kind>(&self, yaml: &str) -> K {
        self.try_create_yaml(yaml).await.unwrap_or_else(|refusal| panic!("refused: {refusal}"))
    }

    /// Creates an object from YAML, or returns the sentence with which the API server refused it.
    pub async fn try_create_yaml<K: Kind>(&self, yaml: &str) -> Result<K, String> {
        let value: Value = serde_yaml_ng::from_str(yaml).unwrap();
        // Untyped, so that the API server sees what a user wrote.
        let objects: Api<kube::api::DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.name, &kube::api::ApiResource::erase::<K>(&()));
        let object = serde_json::from_value(value).unwrap();
        match objects.create(&PostParams::default(), &object).await {
            Ok(created) => Ok(created.try_parse().unwrap()),
            Err(kube::Error::Api(status)) => Err(status.message.clone()),
            Err(error) => panic!("{error}"),
        }
    }

    /// The object as it is now.
    pub async fn get<K: Kind>(&self, name: &str) -> K {
        self.api().get(name).await.unwrap_or_else(|error| panic!("{} {name}: {error}", K::kind(&())))
    }

    /// All objects of a kind.
    pub async fn list<K: Kind>(&self) -> Vec<K> {
        self.api().list(&ListParams::default()).await.unwrap().items
    }

    /// Merges `status` into the status of an object.
    pub async fn patch_status<K: Kind>(&self, name: &str, status: Value) -> Result<K, kube::Error> {
        let patch = Patch::Merge(json!({ "status": status }));
        self.api().patch_status(name, &PatchParams::default(), &patch).await
    }

    /// Lets one of the namespace's ServiceAccounts do everything in it.
    pub async fn permit_everything(&self, account: &str) {
        let yaml = format!(
            "{{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: {account}-may-do-everything}},
              roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}},
              subjects: [{{kind: ServiceAccount, name: {account}, namespace: {}}}]}}",
            self.name
        );
        self.create_yaml::<RoleBinding>(&yaml).await;
    }

    /// Takes back what [`Namespace::permit_everything`] gave.
    pub async fn forbid_everything(&self, account: &str) {
        self.delete::<RoleBinding>(&format!("{account}-may-do-everything")).await;
    }

    /// Deletes an object; what it owns is for the garbage collector.
    pub async fn delete<K: Kind>(&self, name: &str) {
        self.api::<K>().delete(name, &DeleteParams::background()).await.unwrap();
    }

    /// The object, as soon as it is there and `wanted`.
    pub async fn until<K: Kind>(&self, name: &str, what: &str, wanted: impl Fn(&K) -> bool) -> K {
        let started = Instant::now();
        loop {
            let found = self.api::<K>().get_opt(name).await.unwrap();
            match found {
                Some(object) if wanted(&object) => return object,
                last if started.elapsed() > PATIENCE => {
                    panic!("{} {name}: not {what} within {PATIENCE:?}; it is {last:#?}", K::kind(&()))
                }
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Waits until there is no object of that kind and name.
    pub async fn until_gone<K: Kind>(&self, name: &str) {
        let started = Instant::now();
        while let Some(last) = self.api::<K>().get_opt(name).await.unwrap() {
            assert!(started.elapsed() < PATIENCE, "{} {name} is still there: {:#?}", K::kind(&()), last.meta());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The events about an object, as `Type Reason: note`.
    pub async fn events(&self, about: &str) -> Vec<String> {
        let events = self.list::<Event>().await;
        let about = |event: &Event| event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(about);
        let text = |event: Event| {
            let parts = [event.type_, event.reason, event.note].map(Option::unwrap_or_default);
            format!("{} {}: {}", parts[0], parts[1], parts[2])
        };
        events.into_iter().filter(about).map(text).collect()
    }

    /// Waits for an event about an object that begins like that: it is published after what it tells of was written.
    pub async fn until_event(&self, about: &str, beginning: &str) {
        let started = Instant::now();
        loop {
            let events = self.events(about).await;
            if events.iter().any(|event| event.starts_with(beginning)) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "no event {beginning:?} among {events:#?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}
