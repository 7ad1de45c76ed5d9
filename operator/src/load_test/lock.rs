//! A Pipeline whose LoadTest was deleted is given back here: the LoadTest is not there any more to do it.

use std::{sync::Arc, time::Duration};

use kube::{
    Api, ResourceExt,
    core::PartialObjectMeta,
    runtime::{controller::Action, reflector::ObjectRef},
};
use tailrace_crds::{LoadTest, Pipeline};
use tokio_util::sync::CancellationToken;

use super::{apply, queue::holder};
use crate::{
    context::Context,
    controllers::Controller,
    watch::{Change, Watch},
    writer::{Error, bounded},
};

/// How long nothing must have happened to a Pipeline and its LoadTest. A LoadTest that runs writes its progress more
/// often, so it is not asked for as long as it does.
const DEBOUNCE: Duration = Duration::from_secs(3);

/// Releases Pipelines whose LoadTest is gone, until `shutdown` is cancelled.
pub async fn controller(context: Arc<Context>, shutdown: CancellationToken) {
    let watches = &context.watches;
    let pipelines = watches.pipelines().clone();
    Controller::only(watches.pipelines(), 1, |pipeline| holder(pipeline).is_some())
        .debounce(DEBOUNCE)
        .watches(watches.load_tests(), move |change| held_by(&pipelines, change))
        .run(context.clone(), shutdown, reconcile)
        .await;
}

/// The Pipelines that this LoadTest has, or had when it was deleted.
fn held_by(pipelines: &Watch<Pipeline>, test: &Change<LoadTest>) -> Vec<ObjectRef<Pipeline>> {
    let uid = test.meta().uid.as_deref();
    pipelines.names(|pipeline| pipeline.holder.is_some() && pipeline.holder.as_deref() == uid)
}

async fn reconcile(pipeline: Arc<Pipeline>, context: Arc<Context>) -> Result<Action, Error> {
    let Some(holder) = holder(&pipeline) else { return Ok(Action::await_change()) };
    let tests = Api::<LoadTest>::namespaced(context.client.clone(), &pipeline.namespace().unwrap_or_default());
    let found = tests.get_metadata_opt(&holder.name);
    let found = bounded("read the LoadTest that has", pipeline.as_ref(), found).await?;
    let is_there = |test: PartialObjectMeta<LoadTest>| {
        test.metadata.uid.as_ref() == Some(&holder.uid) && test.metadata.deletion_timestamp.is_none()
    };
    if !found.is_some_and(is_there) {
        tracing::debug!(pipeline = pipeline.name_any(), "LoadTest \"{}\" is gone and gives it back", holder.name);
        apply::release(&context, &pipeline).await?;
    }
    Ok(Action::await_change())
}
