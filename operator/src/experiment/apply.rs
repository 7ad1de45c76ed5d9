//! Does what was decided.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Resource, ResourceExt, runtime::events::EventType};
use serde_json::json;
use tailrace_crds::LoadTest;

use super::{
    decide::{self, Decision},
    observation::Observation,
};
use crate::{
    context::Context,
    writer::{Error, Writer},
};

/// The field manager of this controller.
const MANAGER: &str = "tailrace-experiment";

/// Does what was decided, and returns it: something else if the API server refuses the LoadTest that was to be made. What
/// has been done when an error comes is found by the next observation.
pub async fn apply(context: &Context, seen: &Observation, decision: Decision) -> Result<Decision, Error> {
    let writer = Writer::new(context.client.clone(), MANAGER);
    for test in &decision.delete {
        writer.delete(test).await?;
    }
    if let Some(test) = &decision.abort {
        writer.merge(test.as_ref(), json!({ "spec": { "abort": true } })).await?;
    }
    let decision = match &decision.create {
        None => decision,
        Some(test) => match writer.create(test.as_ref()).await {
            Ok(_) => decision,
            Err(error) if error.is_refusal() => decide::refused(seen, decision, &error.to_string()),
            Err(error) => return Err(error),
        },
    };
    let written = writer.apply_status(&seen.experiment, &seen.status(), &decision.status, true).await?;
    if written {
        tracing::debug!(phase = ?decision.status.phase, "{}", decision.status.message.as_deref().unwrap_or_default());
    }
    for news in &decision.announcements {
        let type_ = if news.warning { EventType::Warning } else { EventType::Normal };
        let about = news.load_test.as_deref().map(|name| reference(seen, name));
        context.event_about(&seen.experiment, about, type_, &news.reason, &news.note).await;
    }
    Ok(decision)
}

fn reference(seen: &Observation, load_test: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(LoadTest::api_version(&()).into_owned()),
        kind: Some(LoadTest::kind(&()).into_owned()),
        name: Some(load_test.to_owned()),
        namespace: seen.experiment.namespace(),
        ..ObjectReference::default()
    }
}
