//! What every reconciliation needs.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Api, Client, Resource,
    core::NamespaceResourceScope,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use crate::{retries::Retries, settings::Settings};

/// The name under which the operator reports events.
pub const CONTROLLER: &str = "tailrace-operator";

/// What every reconciliation needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Publishes events.
    pub recorder: Recorder,
    /// Images and the like.
    pub settings: Settings,
    /// How often reconciliations have failed.
    pub retries: Retries,
}

impl Context {
    /// A context of the operator that `settings` describe.
    pub fn new(client: Client, settings: Settings) -> Self {
        let reporter = Reporter { controller: CONTROLLER.into(), instance: Some(settings.lease.identity.clone()) };
        Self { recorder: Recorder::new(client.clone(), reporter), client, settings, retries: Retries::default() }
    }

    /// The objects of one kind that the controllers watch: of one namespace, or of all.
    pub fn watched<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match self.settings.watch_namespace.as_str() {
            "" => Api::all(self.client.clone()),
            namespace => Api::namespaced(self.client.clone(), namespace),
        }
    }

    /// Publishes an event about `object`. An event that cannot be published is logged and otherwise forgotten:
    /// the condition says the same.
    pub async fn event<K>(&self, object: &K, type_: EventType, reason: &str, note: &str)
    where
        K: Resource<DynamicType = ()>,
    {
        self.event_about(object, None, type_, reason, note).await;
    }

    /// Publishes an event about `object` that comes from another object. Events that differ in nothing but their note are
    /// counted as one, with the note of the first.
    pub async fn event_about<K>(
        &self,
        object: &K,
        secondary: Option<ObjectReference>,
        type_: EventType,
        reason: &str,
        note: &str,
    ) where
        K: Resource<DynamicType = ()>,
    {
        /// The API server takes notes of up to 1024 bytes; a character has up to four.
        const LONGEST_NOTE: usize = 256;
        let note = note.chars().take(LONGEST_NOTE).collect();
        let event = Event { type_, reason: reason.into(), note: Some(note), action: "Reconcile".into(), secondary };
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            tracing::warn!(reason, "could not publish an event: {error}");
        }
    }
}
