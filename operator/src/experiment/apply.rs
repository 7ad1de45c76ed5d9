//! Does what was decided.

use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use kube::{Api, Resource, ResourceExt, api::ListParams, runtime::events::EventType};
use serde_json::json;
use tailrace_crds::{
    LoadTest, ProducerReport,
    load_test::{PRUNED_ANNOTATION, PRUNED_HISTOGRAMS, PRUNED_REPORTS},
};

use super::{
    decide::{self, Decision},
    observation::Observation,
};
use crate::{
    context::Context,
    labels::LOAD_TEST,
    ownership::is_owned_by,
    writer::{Error, Writer, bounded},
};

/// The field manager of this controller.
const MANAGER: &str = "tailrace-experiment";

/// Does what was decided, and returns it: something else if the API server refuses what was to be done. What has been
/// done when an error comes is found by the next observation.
pub async fn apply(context: &Context, seen: &Observation, decision: Decision) -> Result<Decision, Error> {
    let writer = Writer::new(context.client.clone(), MANAGER);
    let decision = match change(context, &writer, &decision).await {
        Ok(()) => decision,
        Err(error) if error.is_refusal() => decide::refused(seen, decision, &error.to_string()),
        Err(error) => return Err(error),
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

async fn change(context: &Context, writer: &Writer, decision: &Decision) -> Result<(), Error> {
    for test in decision.delete.iter().chain(&decision.history.tests) {
        writer.delete(test).await?;
    }
    for test in &decision.history.reports {
        delete_reports(context, writer, test).await?;
        mark(writer, test, PRUNED_REPORTS).await?;
    }
    for test in &decision.history.histograms {
        delete_reports(context, writer, test).await?;
        delete_histograms(context, writer, test).await?;
        mark(writer, test, PRUNED_HISTOGRAMS).await?;
    }
    if let Some(test) = &decision.abort {
        writer.merge(test.as_ref(), json!({ "spec": { "abort": true } })).await?;
    }
    if let Some(test) = &decision.create {
        writer.create(test.as_ref()).await?;
    }
    Ok(())
}

async fn delete_reports(context: &Context, writer: &Writer, test: &LoadTest) -> Result<(), Error> {
    let reports = Api::<ProducerReport>::namespaced(context.client.clone(), &test.namespace().unwrap_or_default());
    let of_test = ListParams::default().labels(&format!("{LOAD_TEST}={}", test.name_any()));
    let reports = bounded("list the reports of", test, reports.list_metadata(&of_test)).await?;
    for report in reports.into_iter().filter(|report| is_owned_by(report, test)) {
        writer.delete(&report).await?;
    }
    Ok(())
}

async fn delete_histograms(context: &Context, writer: &Writer, test: &LoadTest) -> Result<(), Error> {
    let Some(histograms) = test.status.as_ref().and_then(|status| status.histograms.as_ref()) else { return Ok(()) };
    let maps = Api::<ConfigMap>::namespaced(context.client.clone(), &test.namespace().unwrap_or_default());
    let found = maps.get_metadata_opt(&histograms.config_map);
    match bounded("read the histograms of", test, found).await? {
        Some(map) if is_owned_by(&map, test) => writer.delete(&map).await,
        _ => Ok(()),
    }
}

/// Says on the LoadTest what is not there any more: its status cannot be changed.
async fn mark(writer: &Writer, test: &LoadTest, what: &str) -> Result<(), Error> {
    writer.merge(test, json!({ "metadata": { "annotations": { PRUNED_ANNOTATION: what } } })).await
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
