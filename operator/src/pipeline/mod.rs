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
pub mod validate;
mod volumes;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod, Service},
    networking::v1::NetworkPolicy,
};
use kube::{
    ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        Controller,
        controller::{self, Action},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use serde_json::json;
use tailrace_crds::{Pipeline, pipeline::PipelineStatus};
use tokio_util::sync::CancellationToken;

use self::{attempts::Attempts, build::claims, status::Jobs, validate::validate};
use crate::{
    context::Context,
    controllers::{retry, tell},
    labels::{COMPONENT, Component, PIPELINE},
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
    let made_here = || watcher::Config::default().labels("app.kubernetes.io/managed-by=tailrace-operator");
    let with_label = || watcher::Config::default().labels(PIPELINE);
    let pods = format!("{PIPELINE},{COMPONENT}!={}", Component::Producer.as_str());
    let controller = Controller::new(context.watched::<Pipeline>(), watcher::Config::default());
    let (all, others) = (controller.store(), controller.store());
    let neighbours = move |pipeline: Pipeline| {
        let sharing = others.state().into_iter().filter(move |other| neighbours::share(&pipeline, other));
        sharing.map(|other| ObjectRef::from_obj(other.as_ref())).collect::<Vec<_>>()
    };
    controller
        .watches(context.watched::<Pipeline>(), watcher::Config::default(), neighbours)
        .owns(context.watched::<Service>(), made_here())
        .owns(context.watched::<NetworkPolicy>(), made_here())
        .owns(context.watched::<StatefulSet>(), made_here())
        .owns(context.watched::<Deployment>(), made_here())
        .owns(context.watched::<Job>(), made_here())
        .watches(context.watched::<PartialObjectMeta<Pod>>(), watcher::Config::default().labels(&pods), pipeline_of)
        .watches(context.watched::<PartialObjectMeta<PersistentVolumeClaim>>(), with_label(), pipeline_of)
        .with_config(controller::Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(move |pipeline, context| reconcile(pipeline, context, all.clone()), retry, context.clone())
        .for_each(async |outcome| tell(&context, outcome))
        .await;
}

/// The Pipeline that a pod or a claim is part of.
fn pipeline_of<K>(object: PartialObjectMeta<K>) -> Option<ObjectRef<Pipeline>> {
    let name = object.metadata.labels.as_ref()?.get(PIPELINE)?;
    Some(ObjectRef::new(name).within(object.metadata.namespace.as_ref()?))
}

async fn reconcile(pipeline: Arc<Pipeline>, context: Arc<Context>, all: Store<Pipeline>) -> Result<Action, Error> {
    if pipeline.metadata.deletion_timestamp.is_some() {
        // What it owns goes with it, and its volumes with the policy Delete, which made them its own.
        return Ok(Action::await_change());
    }
    let writer = Writer::new(context.client.clone(), MANAGER);
    let found = observe::claims(&context.client, &pipeline).await?;
    let validated =
        match validate(&pipeline).and_then(|validated| validated.on_volume(volumes::of_broker(&found, &pipeline))) {
            Ok(validated) => validated,
            Err(invalid) => {
                let status = status::refused(&pipeline, reasons::INVALID_SPEC, invalid.to_string(), Timestamp::now());
                report(&context, &writer, &pipeline, status).await?;
                return Ok(Action::await_change());
            }
        };
    let neighbours = neighbours::sharing(&pipeline, all.state().iter().map(AsRef::as_ref));
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
    let volumes = apply::claims(writer, validated, &resources, found).await?;
    let mut observed = apply::workloads(&context.client, writer, pipeline, &resources, volumes).await?;
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
    if writer.apply_status(pipeline, &before, &status, false).await? {
        for news in events::news(&before.conditions, &status.conditions) {
            context.event(pipeline, news.type_, &news.reason, &news.note).await;
        }
    }
    Ok(())
}
