//! Whose an object is: the UID of its controller decides, never a label or a name.

use std::{collections::BTreeMap, fmt::Debug};

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet, StatefulSet},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::ListParams,
    core::{NamespaceResourceScope, ObjectMeta},
};
use serde::de::DeserializeOwned;

use crate::{
    labels,
    watch::Watches,
    writer::{Error, bounded},
};

/// The controller of an object, if it has one.
pub fn controller_of<K: Resource>(object: &K) -> Option<&OwnerReference> {
    object.meta().owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// Whether `owner` (its UID, not only its name) is the controller of `object`.
pub fn is_owned_by<O: Resource, K: Resource>(object: &O, owner: &K) -> bool {
    let uid = owner.meta().uid.as_deref();
    uid.is_some() && controller_of(object).map(|controller| controller.uid.as_str()) == uid
}

/// An object of somebody else that has the name of one that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Who holds the name.
    pub holder: Holder,
    /// Which object it is, whose, and what to do about it.
    pub sentence: String,
}

/// Who holds a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An object that is being deleted, or will be by the garbage collector.
    Leaving,
    /// What an earlier owner of the same name has left behind, until somebody deletes it.
    Orphan,
    /// Somebody else.
    Stranger,
}

/// Whose the name of `found` is that `owner` wants for an object of its own; nobody else's if it is the controller.
pub fn taken<F: Resource<DynamicType = ()>>(found: &F, owner: Option<&OwnerReference>) -> Option<Taken> {
    let nobody = OwnerReference::default();
    let (owner, controller) = (owner.unwrap_or(&nobody), controller_of(found));
    if controller.is_some_and(|controller| controller.uid == owner.uid && !owner.uid.is_empty()) {
        return None;
    }
    let object = format!("{} \"{}\"", F::kind(&()), found.name_any());
    let earlier = format!("an earlier {} \"{}\"", owner.kind, owner.name);
    let of_earlier =
        controller.is_some_and(|controller| controller.kind == owner.kind && controller.name == owner.name);
    let orphaned = controller.is_none() && is_made_by_operator(found);
    let (holder, sentence) = if of_earlier {
        (Holder::Leaving, format!("{object} of {earlier} is still to be deleted by the garbage collector"))
    } else if found.meta().deletion_timestamp.is_some() {
        (Holder::Leaving, format!("{object} of somebody else is still being deleted"))
    } else if orphaned {
        (Holder::Orphan, format!("{object} was left by {earlier} (deleted with --cascade=orphan): delete it"))
    } else {
        let whose =
            controller.map_or_else(|| "somebody else".to_owned(), |other| format!("{} \"{}\"", other.kind, other.name));
        let advice = format!("delete or rename it, or name the {} differently", owner.kind);
        (Holder::Stranger, format!("{object} exists already and belongs to {whose}: {advice}"))
    };
    Some(Taken { holder, sentence })
}

fn is_made_by_operator<F: Resource>(found: &F) -> bool {
    found.labels().get(labels::MANAGED_BY).is_some_and(|manager| manager == labels::OPERATOR)
}

/// The controllers of the objects between a Pipeline and its pods, by the UID of the object.
#[derive(Clone, Debug, Default)]
pub struct Controllers(BTreeMap<String, OwnerReference>);

impl Controllers {
    /// Of these objects.
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a ObjectMeta>) -> Self {
        let controller = |metadata: &ObjectMeta| {
            let controller = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
            Some((metadata.uid.clone()?, controller.clone()))
        };
        Self(objects.into_iter().filter_map(controller).collect())
    }

    /// Reads those of the Deployments, ReplicaSets and StatefulSets that `selector` selects in the namespace of
    /// `about`.
    ///
    /// # Errors
    /// Of the API server.
    pub async fn read<K>(client: &Client, about: &K, selector: &str) -> Result<Self, Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let (deployments, replica_sets, stateful_sets) = tokio::try_join!(
            metadata::<Deployment, K>(client, about, selector),
            metadata::<ReplicaSet, K>(client, about, selector),
            metadata::<StatefulSet, K>(client, about, selector),
        )?;
        Ok(Self::of(deployments.iter().chain(&replica_sets).chain(&stateful_sets)))
    }

    /// Those that the watches know of the parts of a Pipeline.
    pub fn known(watches: &Watches, namespace: &str, pipeline: &str) -> Self {
        let mut known = Self::default();
        known.extend(watches.deployments().of_pipeline(namespace, pipeline).iter().map(|object| object.meta()));
        known.extend(watches.replica_sets().of_pipeline(namespace, pipeline).iter().map(|object| object.meta()));
        known.extend(watches.stateful_sets().of_pipeline(namespace, pipeline).iter().map(|object| object.meta()));
        known
    }

    /// Adds the controllers of these objects.
    pub fn extend<'a>(&mut self, objects: impl IntoIterator<Item = &'a ObjectMeta>) {
        self.0.extend(Self::of(objects).0);
    }

    /// Whether `root` is the controller of `object`, or of its controller, and so on.
    pub fn lead_to<O: Resource, K: Resource>(&self, object: &O, root: &K) -> bool {
        let (top, root) = (self.top(object), root.meta().uid.as_deref());
        root.is_some() && top.map(|top| top.uid.as_str()) == root
    }

    /// The last controller above `object` that is known: one that is gone, or that is nobody's own.
    pub fn top<'a, O: Resource>(&'a self, object: &'a O) -> Option<&'a OwnerReference> {
        let mut top = controller_of(object)?;
        // A chain has three links; a circle ends here, too.
        for _ in 0..self.0.len() {
            let Some(next) = self.0.get(&top.uid) else { break };
            top = next;
        }
        Some(top)
    }
}

async fn metadata<O, K>(client: &Client, about: &K, selector: &str) -> Result<Vec<ObjectMeta>, Error>
where
    O: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    K: Resource<DynamicType = ()>,
{
    let api: Api<O> = Api::namespaced(client.clone(), about.meta().namespace.as_deref().unwrap_or_default());
    let selected = ListParams::default().labels(selector);
    let found = bounded("list the workloads of", about, api.list_metadata(&selected)).await?;
    Ok(found.items.into_iter().map(|object| object.metadata).collect())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
    use serde_json::{Value, json};

    use super::*;

    fn account(metadata: Value) -> ServiceAccount {
        let mut account: ServiceAccount = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
        account.metadata.name = Some("orders-producer".into());
        account
    }

    fn owner(kind: &str, name: &str, uid: &str) -> Value {
        json!([{ "apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": true }])
    }

    fn judged(found: Value) -> Option<(Holder, String)> {
        let wanted = account(json!({ "ownerReferences": owner("LoadTest", "orders", "new") }));
        taken(&account(found), controller_of(&wanted)).map(|taken| (taken.holder, taken.sentence))
    }

    #[test]
    fn a_name_is_taken_unless_its_controller_is_ours() {
        let deleted = "2026-01-01T00:00:00Z";
        let made = json!({ "app.kubernetes.io/managed-by": "tailrace-operator" });
        let object = "ServiceAccount \"orders-producer\"";
        let stranger = |whose: &str| {
            let advice = "delete or rename it, or name the LoadTest differently";
            Some((Holder::Stranger, format!("{object} exists already and belongs to {whose}: {advice}")))
        };
        let leaving = |how: &str| Some((Holder::Leaving, format!("{object} {how}")));
        let collected = "of an earlier LoadTest \"orders\" is still to be deleted by the garbage collector";
        let orphan = "was left by an earlier LoadTest \"orders\" (deleted with --cascade=orphan): delete it";
        let of_earlier = owner("LoadTest", "orders", "old");
        for (found, expected) in [
            (json!({ "ownerReferences": owner("LoadTest", "orders", "new") }), None),
            (json!({}), stranger("somebody else")),
            (json!({ "ownerReferences": owner("Deployment", "orders", "9") }), stranger("Deployment \"orders\"")),
            (
                json!({ "ownerReferences": owner("LoadTest", "other", "9"), "labels": made }),
                stranger("LoadTest \"other\""),
            ),
            (json!({ "ownerReferences": of_earlier }), leaving(collected)),
            (json!({ "ownerReferences": of_earlier, "deletionTimestamp": deleted }), leaving(collected)),
            (json!({ "deletionTimestamp": deleted }), leaving("of somebody else is still being deleted")),
            (json!({ "labels": made }), Some((Holder::Orphan, format!("{object} {orphan}")))),
        ] {
            assert_eq!(judged(found.clone()), expected, "{found}");
        }
    }

    #[test]
    fn an_owner_that_is_no_controller_owns_nothing() {
        let mut found = owner("LoadTest", "orders", "new");
        found[0]["controller"] = json!(false);
        assert!(judged(json!({ "ownerReferences": found })).is_some());
        assert!(taken(&account(json!({})), None).is_some(), "an object without an owner owns no name");
    }

    #[test]
    fn a_pod_belongs_to_whom_its_controllers_lead_to() {
        let pod = |controller: &str| -> Pod {
            serde_json::from_value(json!({ "metadata": { "ownerReferences": owner("Any", "a", controller) } })).unwrap()
        };
        let link = |uid: &str, controller: &str| -> ObjectMeta {
            serde_json::from_value(json!({ "uid": uid, "ownerReferences": owner("Any", controller, controller) }))
                .unwrap()
        };
        let links = [link("set", "deployment"), link("deployment", "pipeline"), link("a", "b"), link("b", "a")];
        let controllers = Controllers::of(&links);
        let pipeline = account(json!({ "uid": "pipeline" }));
        assert!(controllers.lead_to(&pod("set"), &pipeline));
        assert!(controllers.lead_to(&pod("deployment"), &pipeline));
        assert!(!controllers.lead_to(&pod("another"), &pipeline));
        assert!(!controllers.lead_to(&pod("a"), &pipeline), "a circle");
        assert!(!controllers.lead_to(&Pod::default(), &pipeline));
        assert!(!controllers.lead_to(&Pod::default(), &account(json!({}))));
    }
}
