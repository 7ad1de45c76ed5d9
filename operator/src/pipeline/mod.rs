//! From a [`Pipeline`](tailrace_crds::Pipeline) to Kafka, a database, a classifier and the consumers.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// Runs the controller of Pipelines until `shutdown` is cancelled.
pub async fn controller(_context: Arc<Context>, shutdown: CancellationToken) {
    shutdown.cancelled().await;
}
