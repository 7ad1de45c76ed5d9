//! What every reconciliation needs.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use crate::{
    applied::Applied, counting, health::Readiness, logging::trimmed, metrics::Metrics, retries::Retries,
    settings::Settings, watch::Watches,
};

/// The name under which the operator reports events.
pub const CONTROLLER: &str = "tailrace-operator";

/// What every reconciliation needs.
pub struct Context {
    /// The API server. Its requests are counted.
    pub client: Client,
    /// Publishes events.
    pub recorder: Recorder,
    /// Images and the like.
    pub settings: Settings,
    /// How often reconciliations have failed.
    pub retries: Retries,
    /// What is known of the cluster without asking it.
    pub watches: Watches,
    /// What the operator has made the objects of Pipelines.
    pub applied: Applied,
    /// What keeps the operator from working.
    pub readiness: Arc<Readiness>,
    /// What the operator counts.
    pub metrics: Arc<Metrics>,
}

impl Context {
    /// A context of the operator that `settings` describe.
    pub fn new(client: Client, settings: Settings) -> Self {
        let (readiness, metrics) = (Arc::<Readiness>::default(), Arc::<Metrics>::default());
        let client = counting::client(client, metrics.clone());
        let reporter = Reporter { controller: CONTROLLER.into(), instance: Some(settings.lease.identity.clone()) };
        let recorder = Recorder::new(client.clone(), reporter);
        let namespace = &settings.watch_namespace;
        let watches = Watches::new(client.clone(), recorder.clone(), namespace, readiness.clone(), metrics.clone());
        Self {
            client,
            recorder,
            settings,
            watches,
            applied: Applied::default(),
            readiness,
            metrics,
            retries: Retries::default(),
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

    /// Publishes an event about `object` that comes from another object. Events that differ in nothing but their note
    /// are counted as one, with the note of the first.
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
        let note = Some(self::note(note));
        let event = Event { type_, reason: reason.into(), note, action: "Reconcile".into(), secondary };
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            tracing::warn!(reason, "could not publish an event: {}", trimmed(&error.to_string()));
        }
    }
}

/// As much of a note as the API server takes: up to 1024 bytes; a character has up to four.
pub fn note(text: &str) -> String {
    const LONGEST_NOTE: usize = 256;
    text.chars().take(LONGEST_NOTE).collect()
}
