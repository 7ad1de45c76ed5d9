//! From a [`Pipeline`] to Kafka, a database, a classifier and the consumers:
//! validate -> build (pure) -> hold back or apply -> status (pure).

mod apply;
mod attempts;
pub mod build;
mod disk;
mod events;
pub mod neighbours;
mod observe;
mod reasons;
mod refusals;
mod reports;
mod rollout;
mod status;
mod templates;
pub mod validate;
mod volumes;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api, ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use serde_json::json;
use tailrace_crds::{LoadTest, Pipeline, conditions::types, pipeline::PipelineStatus};
use tokio_util::sync::CancellationToken;

use self::{
    attempts::Attempts,
    build::claims,
    refusals::{Refusals, Refused},
    rollout::Rollout,
    status::Jobs,
    validate::validate,
};
use crate::{
    conditions::is_true,
    context::Context,
    controllers::Controller,
    labels::{COMPONENT, Component, PIPELINE},
    load_test::{observation::is_finished, queue},
    warnings,
    watch::{Change, Watch, Watched},
    writer::{Error, Writer, bounded},
};

/// The field manager of all that this controller writes.
pub const MANAGER: &str = "tailrace-pipeline";

/// How many Pipelines are reconciled at once.
const CONCURRENCY: u16 = 4;
/// Changes within this time are one.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How often a Pipeline is looked at although nothing happened.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

/// And while it is not ready: events, which say why, are not watched.
const NOT_READY: Duration = Duration::from_secs(10);

/// Runs the controller of Pipelines until `shutdown` is cancelled.
pub async fn controller(context: Arc<Context>, shutdown: CancellationToken) {
    let watches = &context.watches;
    let all = watches.pipelines().clone();
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
        .watches(watches.replica_sets(), pipeline_of)
        .watches(watches.pods(), pipeline_of)
        .watches(watches.claims(), pipeline_of)
        .run(context.clone(), shutdown, reconcile)
        .await;
}

/// The Pipelines on the same topics.
fn neighbours_of(all: &Watch<Pipeline>, change: &Change<Pipeline>) -> Vec<ObjectRef<Pipeline>> {
    let Some(pipeline) = change.object() else { return vec![] };
    let (own, digests) = (ObjectRef::from_obj(pipeline), neighbours::digests(pipeline));
    let mut sharing = all.names(|other| neighbours::may_share(&digests, other));
    sharing.retain(|other| other.name != own.name || other.namespace != own.namespace);
    sharing
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
    let digests = neighbours::digests(&pipeline);
    let others = context.watches.pipelines().list_all(|other| neighbours::may_share(&digests, other));
    let neighbours = neighbours::sharing(&pipeline, others.iter().map(AsRef::as_ref));
    let outcome = bring_about(&context, &writer, &pipeline, &validated, &found, neighbours).await;
    if let Err(error) = &outcome
        // A refusal is in the status already.
        && Refused::of("", error).is_none()
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
    let revision = rollout::revision(&resources);
    let changed = !rollout::is_applied(pipeline, &revision);
    let active = if changed { active_test(context, pipeline).await? } else { None };
    match rollout::rollout(pipeline, &revision, active) {
        Rollout::None => {}
        // Said before it is done: a LoadTest that takes the Pipeline in the meantime makes this a conflict.
        Rollout::Now => return announce(context, writer, pipeline, revision).await,
        Rollout::Held(test) => return hold(context, writer, pipeline, &resources, &test).await,
    }
    let mut refusals = Refusals::default();
    let volumes = apply::claims(context, writer, validated, &resources, found, &mut refusals).await?;
    let mut observed = apply::workloads(context, writer, pipeline, &resources, volumes, &mut refusals).await?;
    observed.neighbours = neighbours;
    let (topics, check) = (observed.uids(&[Component::Kafka]), observed.uids(&claims::SERVERS));
    resources.name_jobs_after(validated, &topics, &check);

    for (component, uid) in observed.whom_to_ask() {
        let trouble = warnings::latest(&context.client, pipeline, &uid).await?;
        observed.warned.extend(trouble.map(|trouble| (component, trouble)));
    }

    let now = Timestamp::now();
    let topics =
        Attempts::of(&resources.topics.name_any(), &observed, now, |made| observed.missed_topics(made, now).is_some());
    // A check of earlier topics says nothing about these.
    let made = topics.completed();
    let check =
        Attempts::of(&resources.check.name_any(), &observed, now, |checked| made.is_some_and(|made| checked < made));
    apply::jobs(writer, &resources, &observed, &topics, &check, &mut refusals).await?;

    let next = [&topics, &check].into_iter().filter_map(|attempts| attempts.next());
    let next = next.map(|next| Duration::try_from(next.duration_since(now)).unwrap_or_default());
    let look_again = next.chain(reports::look_again(&observed)).min().unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN);
    let jobs = Jobs { topics, check };
    let status = status::status(pipeline, validated, &resources, &observed, &jobs, &refusals.list, now);
    let look_again = if is_true(&status.conditions, types::READY) { look_again } else { look_again.min(NOT_READY) };
    report(context, writer, pipeline, status).await?;
    forget_workers(writer, pipeline, &reports::forgotten(pipeline, &observed.pods, now)).await?;
    refusals.into_result()?;
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

/// Not Ready, and at once again: what is wanted is made then.
async fn announce(context: &Context, writer: &Writer, pipeline: &Pipeline, revision: String) -> Result<Action, Error> {
    let status = status::rolling_out(pipeline, revision, Timestamp::now());
    report(context, writer, pipeline, status).await?;
    Ok(Action::await_change())
}

/// What runs stays as it is, but for addresses that somebody has deleted.
async fn hold(
    context: &Context,
    writer: &Writer,
    pipeline: &Pipeline,
    resources: &build::Resources,
    test: &str,
) -> Result<Action, Error> {
    apply::missing_services(writer, resources).await?;
    let running = observe::workloads(&context.watches, pipeline, resources);
    let what = rollout::what_waits(pipeline, resources, &running, test);
    report(context, writer, pipeline, status::held(pipeline, what, Timestamp::now())).await?;
    Ok(Action::requeue(LOOK_AGAIN))
}

/// The LoadTest that has the Pipeline, unless it is over or gone.
async fn active_test(context: &Context, pipeline: &Pipeline) -> Result<Option<String>, Error> {
    let Some(holder) = queue::holder(pipeline) else { return Ok(None) };
    let tests = Api::<LoadTest>::namespaced(context.client.clone(), &pipeline.namespace().unwrap_or_default());
    let found = bounded("read the LoadTest that has", pipeline, tests.get_opt(&holder.name)).await?;
    let is_active = |test: &LoadTest| {
        queue::is_held_by(Some(holder), test) && !is_finished(test) && test.metadata.deletion_timestamp.is_none()
    };
    Ok(found.filter(is_active).map(|test| test.name_any()))
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
