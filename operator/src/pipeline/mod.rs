//! From a [`Pipeline`] to Kafka, a database, a classifier and the consumers:
//! validate -> build (pure) -> apply -> status (pure).

mod apply;
mod attempts;
pub mod build;
mod disk;
mod events;
mod observe;
mod reasons;
mod status;
pub mod validate;
mod volumes;

use std::{sync::Arc, time::Duration};

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
        reflector::ObjectRef,
        watcher,
    },
};
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
    Controller::new(context.watched::<Pipeline>(), watcher::Config::default())
        .owns(context.watched::<Service>(), made_here())
        .owns(context.watched::<NetworkPolicy>(), made_here())
        .owns(context.watched::<StatefulSet>(), made_here())
        .owns(context.watched::<Deployment>(), made_here())
        .owns(context.watched::<Job>(), made_here())
        .watches(context.watched::<PartialObjectMeta<Pod>>(), watcher::Config::default().labels(&pods), pipeline_of)
        .watches(context.watched::<PartialObjectMeta<PersistentVolumeClaim>>(), with_label(), pipeline_of)
        .with_config(controller::Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, retry, context.clone())
        .for_each(async |outcome| tell(&context, outcome))
        .await;
}

/// The Pipeline that a pod or a claim is part of.
fn pipeline_of<K>(object: PartialObjectMeta<K>) -> Option<ObjectRef<Pipeline>> {
    let name = object.metadata.labels.as_ref()?.get(PIPELINE)?;
    Some(ObjectRef::new(name).within(object.metadata.namespace.as_ref()?))
}

async fn reconcile(pipeline: Arc<Pipeline>, context: Arc<Context>) -> Result<Action, Error> {
    if pipeline.metadata.deletion_timestamp.is_some() {
        // What it owns goes with it, and volumes as their StatefulSets say.
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
    let outcome = bring_about(&context, &writer, &pipeline, &validated, &found).await;
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
) -> Result<Action, Error> {
    let mut resources = build::build(validated, &context.settings.images);
    let volumes = apply::claims(writer, validated, &resources, found).await?;
    let observed = apply::workloads(&context.client, writer, pipeline, &resources, volumes).await?;
    let (topics, check) = (observed.uids(&[Component::Kafka]), observed.uids(&claims::SERVERS));
    resources.name_jobs_after(validated, &topics, &check);

    let now = Timestamp::now();
    let topics = Attempts::of(&resources.topics.name_any(), &observed, now);
    let check = Attempts::of(&resources.check.name_any(), &observed, now);
    apply::jobs(writer, &resources, &observed, &topics, &check).await?;

    let next = [&topics, &check].into_iter().filter_map(|attempts| match attempts {
        Attempts::Failed(_, next) => Some(Duration::try_from(next.duration_since(now)).unwrap_or_default()),
        _ => None,
    });
    let look_again = next.min().unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN);
    let status = status::status(pipeline, validated, &resources, &observed, &Jobs { topics, check }, now);
    report(context, writer, pipeline, status).await?;
    Ok(Action::requeue(look_again))
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
