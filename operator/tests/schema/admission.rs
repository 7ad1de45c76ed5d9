//! Asks the API server whether it would take an object, without making it.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Mutex,
};

use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::Status,
};
use serde_json::{Value, json};

use crate::{fields::Kind, support};

/// A namespace in which nothing is made.
pub struct Admission {
    client: Client,
    namespace: String,
    /// What was taken already: most objects differ in one value, and what is made of them mostly in none.
    taken: Mutex<HashSet<u64>>,
}

impl Admission {
    pub fn new(namespace: support::Namespace) -> Self {
        Self { client: namespace.client, namespace: namespace.name, taken: Mutex::default() }
    }

    /// What the API server makes of an object that a user creates, as JSON: it is not for this test to read it first.
    pub async fn of(&self, kind: Kind, name: &str, spec: &Value) -> Result<Value, Box<Status>> {
        let object = json!({
            "apiVersion": "tailrace.dev/v1alpha1",
            "kind": format!("{kind:?}"),
            "metadata": { "name": name },
            "spec": spec,
        });
        let (namespace, plural) = (&self.namespace, kind.plural());
        let path = format!("/apis/tailrace.dev/v1alpha1/namespaces/{namespace}/{plural}?dryRun=All");
        let request = http::Request::post(path).header("Content-Type", "application/json");
        match self.client.request(request.body(object.to_string().into_bytes()).unwrap()).await {
            Ok(admitted) => Ok(admitted),
            Err(kube::Error::Api(status)) => Err(status),
            Err(error) => panic!("{error}"),
        }
    }

    /// That the API server takes an object that the operator makes, by the same request.
    pub async fn takes<K: support::Kind>(&self, object: &K) -> Result<(), String> {
        let value = serde_json::to_value(object).unwrap();
        let key = {
            let mut hasher = DefaultHasher::new();
            (K::kind(&()), value.to_string()).hash(&mut hasher);
            hasher.finish()
        };
        if self.taken.lock().unwrap().contains(&key) {
            return Ok(());
        }
        let resource = ApiResource::erase::<K>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let dry_run = PatchParams { dry_run: true, ..PatchParams::apply("tailrace-test").force() };
        let mut value = value;
        value["apiVersion"] = resource.api_version.clone().into();
        value["kind"] = resource.kind.clone().into();
        match api.patch(&object.name_any(), &dry_run, &Patch::Apply(&value)).await {
            Ok(_) => {
                self.taken.lock().unwrap().insert(key);
                Ok(())
            }
            Err(kube::Error::Api(status)) => {
                Err(format!("{} {} is refused: {}", resource.kind, object.name_any(), status.message))
            }
            Err(error) => panic!("{error}"),
        }
    }
}
