//! What all controllers do alike.

use std::{fmt::Debug, sync::Arc};

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

/// Tries again later, and later still the more often it has failed.
pub fn retry<K>(object: Arc<K>, error: &Error, context: Arc<Context>) -> Action
where
    K: Resource<DynamicType = ()>,
{
    let delay = context.retries.delay_after(object.as_ref(), error);
    let (kind, name) = (K::kind(&()), object.name_any());
    if error.is_conflict() {
        tracing::debug!(%kind, name, ?delay, "another writer was faster, tries again: {error}");
    } else {
        tracing::warn!(%kind, name, ?delay, "could not go on, tries again: {error}");
    }
    Action::requeue(delay)
}

/// Logs what went wrong beside the reconciliations, and forgets the failures of what was reconciled.
pub fn tell<K>(context: &Context, outcome: Result<(ObjectRef<K>, Action), controller::Error<Error, watcher::Error>>)
where
    K: Resource<DynamicType = ()> + Debug,
{
    match outcome {
        Ok((object, _)) => context.retries.succeeded(&object),
        Err(controller::Error::ObjectNotFound(object)) => {
            context.retries.succeeded(&ObjectRef::<K>::new(&object.name).within(&object.namespace.unwrap_or_default()));
        }
        // `retry` has logged the reconciler's own errors.
        Err(controller::Error::ReconcilerFailed(..)) => {}
        Err(error) => tracing::warn!("a watch of the controller of {}s failed and starts again: {error}", K::kind(&())),
    }
}
