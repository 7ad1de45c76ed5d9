//! What only events say: why a controller could not make a pod, or a kubelet could not give it its volumes.

use k8s_openapi::api::{core::v1::Pod, events::v1::Event};
use kube::{Api, Client, Resource, ResourceExt, api::ListParams};

use crate::{
    pods::{self, Trouble},
    writer::{Error, bounded},
};

/// The reasons of events that tell why something does not start. Others, such as those of probes, are a normal start.
const REASONS: [&str; 4] = ["FailedCreate", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"];
/// The API server has no order for events, and one object in trouble has a handful of them.
const MOST_EVENTS: u32 = 100;

/// The UID of the object whose events say why a part does not run: that of its only `workload` while that has no pod,
/// or of the first pod that waits on its node in silence.
pub fn whom_to_ask<W: Resource>(workload: &W, pods: &[&Pod]) -> Option<String> {
    match pods {
        [] => workload.meta().uid.clone(),
        pods => pods.iter().find(|pod| is_silent(pod))?.uid(),
    }
}

fn is_silent(pod: &Pod) -> bool {
    let pending =
        pod.status.as_ref().is_none_or(|status| status.phase.as_deref().is_none_or(|phase| phase == "Pending"));
    let placed = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    pending && placed && pods::trouble(pod).is_none()
}

/// The last of the events about the object of that UID that tell why it does not start. `about` is whom it is asked
/// for.
///
/// # Errors
/// Of the API server.
pub async fn latest<K>(client: &Client, about: &K, uid: &str) -> Result<Option<Trouble>, Error>
where
    K: Resource<DynamicType = ()>,
{
    let events = Api::<Event>::namespaced(client.clone(), about.meta().namespace.as_deref().unwrap_or_default());
    let wanted = ListParams::default().fields(&format!("type=Warning,regarding.uid={uid}")).limit(MOST_EVENTS);
    let found = bounded("list the events of", about, events.list(&wanted)).await?;
    Ok(newest(found.items))
}

fn newest(events: Vec<Event>) -> Option<Trouble> {
    let told = |event: &Event| event.reason.as_deref().is_some_and(|reason| REASONS.contains(&reason));
    let newest = events.into_iter().filter(told).max_by_key(time)?;
    let (reason, note) = (newest.reason.unwrap_or_default(), newest.note.unwrap_or_default());
    let object = newest.regarding.unwrap_or_default();
    let kind = object.kind.unwrap_or_default();
    // A pod is called as in its other troubles.
    let kind = if kind == "Pod" { "pod".to_owned() } else { kind };
    let message = format!("{kind} {}: {reason}: {}", object.name.unwrap_or_default(), note.trim());
    Some(Trouble { reason, message })
}

/// When it happened last, in milliseconds. Each of the two APIs of events writes it elsewhere.
fn time(event: &Event) -> i64 {
    let series = event.series.as_ref().map(|series| series.last_observed_time.0);
    let times = [
        series,
        event.event_time.as_ref().map(|time| time.0),
        event.deprecated_last_timestamp.as_ref().map(|time| time.0),
        event.creation_timestamp().map(|time| time.0),
    ];
    times.into_iter().flatten().map(|time| time.as_millisecond()).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(reason: &str, second: u32, note: &str) -> Event {
        serde_json::from_value(json!({
            "metadata": {}, "reason": reason, "note": note, "eventTime": null,
            "regarding": { "kind": "StatefulSet", "name": "cifar-kafka" },
            "deprecatedLastTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
        }))
        .unwrap()
    }

    #[test]
    fn the_newest_event_that_tells_why_is_told() {
        let events = vec![
            event("FailedCreate", 2, "exceeded quota: limits\n"),
            event("Unhealthy", 9, "connection refused"),
            event("FailedCreate", 1, "no service account"),
        ];
        let trouble = newest(events).unwrap();
        assert_eq!(trouble.reason, "FailedCreate");
        assert_eq!(trouble.message, "StatefulSet cifar-kafka: FailedCreate: exceeded quota: limits");
        assert_eq!(newest(vec![event("Unhealthy", 9, "connection refused")]), None);
    }

    #[test]
    fn who_has_no_pod_is_asked_itself_and_else_the_pod_that_waits_in_silence() {
        let pod = |uid: &str, node: Option<&str>, phase: &str| -> Pod {
            let spec = json!({ "containers": [], "nodeName": node });
            serde_json::from_value(json!({ "metadata": { "uid": uid }, "spec": spec, "status": { "phase": phase } }))
                .unwrap()
        };
        let (nowhere, running, silent) =
            (pod("1", None, "Pending"), pod("2", Some("a"), "Running"), pod("3", Some("a"), "Pending"));
        let mut workload = Pod::default();
        workload.metadata.uid = Some("set".into());
        assert_eq!(whom_to_ask(&workload, &[]).as_deref(), Some("set"));
        assert_eq!(whom_to_ask(&workload, &[&nowhere, &running, &silent]).as_deref(), Some("3"));
        assert_eq!(whom_to_ask(&workload, &[&nowhere, &running]), None);
    }
}
