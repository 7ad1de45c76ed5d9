//! From a [`Pipeline`] to Kafka, a database, a classifier and the consumers:
//! validate -> build (pure) -> apply -> status (pure).

mod apply;
mod attempts;
pub mod build;
mod disk;
mod events;
mod neighbours;
mod observe;
mod reasons;
mod reports;
mod status;
mod templates;
pub mod validate;
mod volumes;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    ResourceExt,
    runtime::{
        controller::Action,
        reflector::{ObjectRef, Store},
    },
};
use serde_json::json;
use tailrace_crds::{Pipeline, pipeline::PipelineStatus};
use tokio_util::sync::CancellationToken;

use self::{attempts::Attempts, build::claims, status::Jobs, validate::validate};
use crate::{
    context::Context,
    controllers::Controller,
    labels::{COMPONENT, Component, PIPELINE},
    watch::{Change, Watched},
    writer::{Error, Writer},
};

/// The field manager of all that this controller writes.
pub const MANAGER: &str = "tailrace-pipeline";

/// How many Pipelines are reconciled at once.
const CONCURRENCY: u16 = 4;
/// Changes within this time are one.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How often a Pipeline is looked at although nothing happened.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

/// Runs the controller of Pipelines until `shutdown` is cancelled.
pub async fn controller(context: Arc<Context>, shutdown: CancellationToken) {
    let watches = &context.watches;
    let all = watches.pipelines().store().clone();
    Controller::new(watches.pipelines(), CONCURRENCY)
        .debounce(DEBOUNCE)
        .watches(watches.pipelines(), move |change| neighbours_of(&all, change))
        .owns(watches.services())
        .owns(watches.network_policies())
        .owns(watches.accounts())
        .owns(watches.roles())
        .owns(watches.role_bindings())
        .owns(watches.stateful_sets())
        .owns(watches.deployments())
        .owns(watches.jobs())
        .watches(watches.pods(), pipeline_of)
        .watches(watches.claims(), pipeline_of)
        .run(context.clone(), shutdown, reconcile)
        .await;
}

/// The Pipelines on the same topics.
fn neighbours_of(all: &Store<Pipeline>, change: &Change<Pipeline>) -> Vec<ObjectRef<Pipeline>> {
    let Some(pipeline) = change.object() else { return vec![] };
    let sharing = all.state_filter(|other| neighbours::share(pipeline, other));
    sharing.iter().map(|other| ObjectRef::from_obj(other.as_ref())).collect()
}

/// The Pipeline that a pod or a claim is part of. Producers are no part of it.
fn pipeline_of<K: Watched>(change: &Change<K>) -> Option<ObjectRef<Pipeline>> {
    let meta = change.meta();
    let labels = meta.labels.as_ref()?;
    let is_producer = labels.get(COMPONENT).is_some_and(|component| component == Component::Producer.as_str());
    let name = labels.get(PIPELINE).filter(|_| !is_producer)?;
    Some(ObjectRef::new(name).within(meta.namespace.as_deref()?))
}

async fn reconcile(pipeline: Arc<Pipeline>, context: Arc<Context>) -> Result<Action, Error> {
    if pipeline.metadata.deletion_timestamp.is_some() {
        // What it owns goes with it, and its volumes with the policy Delete, which made them its own.
        return Ok(Action::await_change());
    }
    let writer = Writer::new(context.client.clone(), MANAGER);
    let found = observe::claims(&context.watches, &pipeline);
    let validated = match validate(&pipeline, &context.settings)
        .and_then(|validated| validated.on_volume(volumes::of_broker(&found, &pipeline)))
    {
        Ok(validated) => validated,
        Err(invalid) => {
            let status = status::refused(&pipeline, reasons::INVALID_SPEC, invalid.to_string(), Timestamp::now());
            report(&context, &writer, &pipeline, status).await?;
            return Ok(Action::await_change());
        }
    };
    let neighbours =
        neighbours::sharing(&pipeline, context.watches.pipelines().store().state().iter().map(AsRef::as_ref));
    let outcome = bring_about(&context, &writer, &pipeline, &validated, &found, neighbours).await;
    if let Err(error) = &outcome
        && context.retries.is_lasting(pipeline.as_ref(), error)
    {
        let status = status::refused(&pipeline, reasons::REFUSED, error.to_string(), Timestamp::now());
        report(&context, &writer, &pipeline, status).await?;
    }
    outcome
}

async fn bring_about(
    context: &Context,
    writer: &Writer,
    pipeline: &Pipeline,
    validated: &validate::Validated,
    found: &[PersistentVolumeClaim],
    neighbours: Vec<String>,
) -> Result<Action, Error> {
    let mut resources = build::build(validated, &context.settings.images);
    let volumes = apply::claims(context, writer, validated, &resources, found).await?;
    let mut observed = apply::workloads(context, writer, pipeline, &resources, volumes).await?;
    observed.neighbours = neighbours;
    let (topics, check) = (observed.uids(&[Component::Kafka]), observed.uids(&claims::SERVERS));
    resources.name_jobs_after(validated, &topics, &check);

    let now = Timestamp::now();
    let topics =
        Attempts::of(&resources.topics.name_any(), &observed, now, |made| observed.missed_topics(made, now).is_some());
    // A check of earlier topics says nothing about these.
    let made = topics.completed();
    let check =
        Attempts::of(&resources.check.name_any(), &observed, now, |checked| made.is_some_and(|made| checked < made));
    apply::jobs(writer, &resources, &observed, &topics, &check).await?;

    let next = [&topics, &check].into_iter().filter_map(|attempts| attempts.next());
    let next = next.map(|next| Duration::try_from(next.duration_since(now)).unwrap_or_default());
    let look_again = next.chain(reports::look_again(&observed)).min().unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN);
    let status = status::status(pipeline, validated, &resources, &observed, &Jobs { topics, check }, now);
    report(context, writer, pipeline, status).await?;
    forget_workers(writer, pipeline, &reports::forgotten(pipeline, &observed.pods, now)).await?;
    Ok(Action::requeue(look_again))
}

/// Takes the entries of pods out of the status that are gone.
async fn forget_workers(writer: &Writer, pipeline: &Pipeline, pods: &[String]) -> Result<(), Error> {
    if pods.is_empty() {
        return Ok(());
    }
    let none: BTreeMap<_, _> = pods.iter().map(|pod| (pod, serde_json::Value::Null)).collect();
    writer.merge_status(pipeline, json!({ "workers": none })).await
}

/// Writes the status if it differs, and events about what is new in it.
async fn report(context: &Context, writer: &Writer, pipeline: &Pipeline, status: PipelineStatus) -> Result<(), Error> {
    let before = status::previous(pipeline);
    // Locked: an event about what is new must not come twice because the watch is a moment behind.
    if writer.apply_status(pipeline, &before, &status, true).await? {
        for news in events::news(&before.conditions, &status.conditions) {
            context.event(pipeline, news.type_, &news.reason, &news.note).await;
        }
    }
    Ok(())
}
