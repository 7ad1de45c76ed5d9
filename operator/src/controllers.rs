//! What all controllers do alike.

use std::{fmt::Debug, sync::Arc, time::Duration};

use jiff::{Timestamp, Unit};
use kube::{
    Resource, ResourceExt,
    runtime::{
        controller::{self, Action},
        reflector::ObjectRef,
        watcher,
    },
};

use crate::{context::Context, writer::Error};

/// The time to the microsecond, as the API server keeps it.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Microsecond).unwrap_or(now)
}

/// A conflict means that what was decided on is old already, so it is decided again soon; all else is given more time.
pub fn retry<K>(object: Arc<K>, error: &Error, _: Arc<Context>) -> Action
where
    K: Resource<DynamicType = ()>,
{
    let millis = if error.is_conflict() { 50..200 } else { 2_000..4_000 };
    let delay = Duration::from_millis(rand::random_range(millis));
    let (kind, name) = (K::kind(&()), object.name_any());
    if error.is_conflict() {
        tracing::debug!(%kind, name, ?delay, "another writer was faster, tries again: {error}");
    } else {
        tracing::warn!(%kind, name, ?delay, "could not go on, tries again: {error}");
    }
    Action::requeue(delay)
}

/// Tells of what went wrong beside the reconciliations.
pub async fn tell<K>(outcome: Result<(ObjectRef<K>, Action), controller::Error<Error, watcher::Error>>)
where
    K: Resource<DynamicType = ()> + Debug,
{
    match outcome {
        // `retry` has told of the reconciler's own errors; an object that is gone was to be expected.
        Ok(_) | Err(controller::Error::ReconcilerFailed(..) | controller::Error::ObjectNotFound(_)) => {}
        Err(error) => tracing::warn!("a watch of the controller of {}s failed and starts again: {error}", K::kind(&())),
    }
}
