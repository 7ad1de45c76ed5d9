//! Objects of any kind, so that a table of all that the operator makes needs no list of kinds.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams, PostParams},
    core::ObjectMeta,
    discovery::{ApiResource, Discovery, Scope, verbs},
};

use super::namespace::Namespace;

/// An object and the resource that it is one of.
#[derive(Clone, Debug)]
pub struct Object {
    pub resource: ApiResource,
    pub object: DynamicObject,
}

/// All objects of the namespace, of whatever kind, whose controller has that UID.
pub async fn owned_by(namespace: &Namespace, uid: &str) -> Vec<Object> {
    let discovery = Discovery::new(namespace.client.clone()).run().await.unwrap();
    let resources = discovery.groups().flat_map(|group| group.recommended_resources());
    let mut owned = vec![];
    for (resource, capabilities) in resources {
        if capabilities.scope != Scope::Namespaced || !capabilities.supports_operation(verbs::LIST) {
            continue;
        }
        let api: Api<DynamicObject> = Api::namespaced_with(namespace.client.clone(), &namespace.name, &resource);
        let all = api.list(&ListParams::default()).await.unwrap();
        let ours = |owner: &OwnerReference| owner.controller == Some(true) && owner.uid == uid;
        let ours = all.items.into_iter().filter(|object| object.owner_references().iter().any(ours));
        owned.extend(ours.map(|object| Object { resource: resource.clone(), object }));
    }
    owned
}

impl Object {
    /// Such as `Job "a"`.
    pub fn title(&self) -> String {
        format!("{} \"{}\"", self.resource.kind, self.object.name_any())
    }

    fn api(&self, namespace: &Namespace) -> Api<DynamicObject> {
        Api::namespaced_with(namespace.client.clone(), &namespace.name, &self.resource)
    }

    /// Makes the same in another namespace, with these labels and without an owner.
    pub async fn copy_to(&self, namespace: &Namespace, labels: &[(&str, &str)]) -> Self {
        let mut object = self.object.clone();
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        object.metadata =
            ObjectMeta { name: Some(self.object.name_any()), labels: Some(labels.collect()), ..ObjectMeta::default() };
        object.data.as_object_mut().unwrap().remove("status");
        match self.resource.kind.as_str() {
            // The API server gives a Job a selector of its own. No pod is to be made.
            "Job" => {
                object.data["spec"].as_object_mut().unwrap().remove("selector");
                object.data["spec"]["template"].as_object_mut().unwrap().remove("metadata");
                object.data["spec"]["suspend"] = true.into();
            }
            "Service" => {
                for field in ["clusterIP", "clusterIPs"] {
                    object.data["spec"].as_object_mut().unwrap().remove(field);
                }
            }
            "RoleBinding" => object.data["subjects"][0]["namespace"] = namespace.name.clone().into(),
            _ => {}
        }
        let made = self.api(namespace).create(&PostParams::default(), &object).await;
        Self { object: made.unwrap_or_else(|refusal| panic!("{}: {refusal}", self.title())), ..self.clone() }
    }

    /// It as it is now, if it is the same still.
    pub async fn now(&self, namespace: &Namespace) -> Option<DynamicObject> {
        let now = self.api(namespace).get_opt(&self.object.name_any()).await.unwrap();
        now.filter(|now| now.metadata.uid == self.object.metadata.uid && now.metadata.deletion_timestamp.is_none())
    }

    /// Fails unless nobody has touched it.
    pub async fn is_untouched(&self, namespace: &Namespace) {
        let now = self.now(namespace).await.unwrap_or_else(|| panic!("{} is gone", self.title()));
        let of = |object: &DynamicObject| {
            let mut data = object.data.clone();
            data.as_object_mut().unwrap().remove("status");
            (object.metadata.labels.clone(), object.metadata.owner_references.clone(), data)
        };
        assert_eq!(of(&now), of(&self.object), "{}", self.title());
        let managers = now.metadata.managed_fields.unwrap_or_default().into_iter().filter_map(|entry| entry.manager);
        let ours: Vec<_> = managers.filter(|manager| manager.starts_with("tailrace-")).collect();
        assert!(ours.is_empty(), "{} was written to by {ours:?}", self.title());
    }

    /// Deletes it at once.
    pub async fn delete(&self, namespace: &Namespace) {
        let how = kube::api::DeleteParams::background();
        self.api(namespace).delete(&self.object.name_any(), &how).await.unwrap();
    }
}
