//! Tells an object that it cannot be read: in its status where it has one, by a patch that needs no more of it than its
//! name, and in an event.

use std::{collections::HashMap, time::Duration};

use futures::{StreamExt, channel::mpsc::UnboundedReceiver};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::{PartialObjectMeta, PartialObjectMetaExt, error_boundary::InvalidObject},
    runtime::events::{Event, EventType, Recorder},
};
use serde_json::{Value, json};
use tailrace_crds::conditions::{reasons, types};

use super::Watched;
use crate::{
    conditions::{Conditions, find},
    context::note,
    controllers::now,
    logging::trimmed,
    writer::{Error, bounded},
};

/// The field manager of these patches.
const MANAGER: &str = "tailrace-reader";
/// How often it is tried to tell an object, with a pause that doubles.
const ATTEMPTS: u32 = 6;

/// How an object of a kind is told.
#[derive(Clone, Copy)]
pub struct Telling {
    /// The conditions that say it. A kind that has none of its own is only logged.
    conditions: &'static [(&'static str, bool)],
    /// Whether the status has a sentence of its own.
    message: bool,
    /// Whether there is an event.
    event: bool,
    /// What the user can do.
    advice: &'static str,
}

/// A Pipeline.
pub const PIPELINE: Telling = Telling {
    conditions: &[(types::READY, false)],
    message: false,
    event: true,
    advice: "correct this field; nothing of this Pipeline changes until then",
};

/// A LoadTest, whose spec cannot be changed.
pub const LOAD_TEST: Telling = Telling {
    conditions: NOT_FINISHED,
    message: true,
    event: true,
    advice: "delete this LoadTest and create it again with a value that can be read",
};

/// An Experiment.
pub const EXPERIMENT: Telling = Telling {
    conditions: NOT_FINISHED,
    message: true,
    event: true,
    advice: "correct this field; the Experiment stands still until then",
};

/// A report, of which its LoadTest speaks.
pub const REPORT: Telling = Telling { conditions: &[], message: false, event: true, advice: "delete this LoadTest" };

/// What is not ours to tell.
pub const NO_STATUS: Telling = Telling { conditions: &[], message: false, event: false, advice: "" };

const NOT_FINISHED: &[(&str, bool)] =
    &[(types::FINISHED, false), (types::SUCCEEDED, false), (types::RECONCILING, false), (types::STALLED, true)];

/// Tells each object that is found once, and again if it cannot be read for another reason.
pub async fn tell_all<K: Watched>(
    client: Client,
    recorder: Recorder,
    telling: Telling,
    mut found: UnboundedReceiver<InvalidObject>,
) {
    let mut told = HashMap::new();
    while let Some(InvalidObject { error, metadata }) = found.next().await {
        let object: PartialObjectMeta<K> = metadata.into_response_partial();
        let (uid, name, namespace) = (object.uid(), object.name_any(), object.namespace().unwrap_or_default());
        if told.get(&(namespace.clone(), name.clone())) == Some(&(uid.clone(), error.clone())) {
            continue;
        }
        for attempt in 0..ATTEMPTS {
            match tell(&client, &recorder, telling, &object, &error).await {
                Ok(()) => break,
                Err(failure) => {
                    let pause = Duration::from_millis(rand::random_range(500..1_000) << attempt);
                    let failure = trimmed(&failure.to_string());
                    tracing::warn!(kind = %K::kind(&()), namespace, name, ?pause, "cannot tell it: {failure}");
                    tokio::time::sleep(pause).await;
                }
            }
        }
        told.insert((namespace, name), (uid, error));
    }
}

async fn tell<K: Watched>(
    client: &Client,
    recorder: &Recorder,
    telling: Telling,
    object: &PartialObjectMeta<K>,
    error: &str,
) -> Result<(), Error> {
    let (kind, name, namespace) = (K::kind(&()), object.name_any(), object.namespace().unwrap_or_default());
    if !telling.event {
        let error = trimmed(error);
        tracing::warn!(%kind, namespace, name, "cannot be read and is left alone: {error}");
        return Ok(());
    }
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &ApiResource::erase::<K>(&()));
    let Some(raw) = bounded("read", object, api.get_opt(&name)).await? else { return Ok(()) };
    let Some(why) = why::<K>(&raw) else { return Ok(()) };
    let message = trimmed(&format!("{why}; {}", telling.advice));
    if is_told(&raw, &message) {
        return Ok(());
    }
    tracing::warn!(%kind, namespace, name, "cannot be read and is left alone: {why}");
    if !telling.conditions.is_empty() && !is_over(&raw) {
        let how = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        let patch = Patch::Merge(patch(&raw, telling, &message));
        match bounded("write the status of", object, api.patch_status(&name, &how, &patch)).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(()),
            // It may be so wrong that even its status cannot be written; the event says it all the same.
            Err(error) if error.is_refusal() => tracing::warn!(%kind, namespace, name, "{error}"),
            Err(error) => return Err(error),
        }
    }
    let event = Event {
        type_: EventType::Warning,
        reason: reasons::UNREADABLE.into(),
        note: Some(note(&message)),
        action: "Read".into(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &object.object_ref(&())).await {
        tracing::warn!(%kind, namespace, name, "could not publish an event: {}", trimmed(&error.to_string()));
    }
    Ok(())
}

/// The field, what is wrong with it and what to write instead; nothing if it can be read by now.
fn why<K: Watched>(raw: &DynamicObject) -> Option<String> {
    let value = serde_json::to_value(raw).ok()?;
    let error = serde_path_to_error::deserialize::<_, K>(value).err()?;
    let path = error.path().to_string();
    Some(match path.as_str() {
        "." => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    })
}

fn conditions(raw: &DynamicObject) -> Vec<Condition> {
    let conditions = raw.data.pointer("/status/conditions").cloned().unwrap_or(Value::Null);
    serde_json::from_value(conditions).unwrap_or_default()
}

fn is_told(raw: &DynamicObject, message: &str) -> bool {
    conditions(raw).iter().any(|condition| condition.reason == reasons::UNREADABLE && condition.message == message)
}

/// What is over stays as it is.
fn is_over(raw: &DynamicObject) -> bool {
    find(&conditions(raw), types::FINISHED).is_some_and(|finished| finished.status == "True")
}

fn patch(raw: &DynamicObject, telling: Telling, message: &str) -> Value {
    let mut conditions = Conditions::new(&conditions(raw), raw.metadata.generation, now());
    for (type_, holds) in telling.conditions {
        conditions.set(type_, *holds, reasons::UNREADABLE, message);
    }
    let mut status = json!({ "conditions": conditions.into_list() });
    if telling.message {
        status["message"] = message.into();
    }
    json!({ "metadata": { "resourceVersion": raw.metadata.resource_version }, "status": status })
}
