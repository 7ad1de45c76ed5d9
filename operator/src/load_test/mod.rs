//! From a [`LoadTest`](tailrace_crds::LoadTest) to its percentiles.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// Runs the controller of LoadTests until `shutdown` is cancelled.
pub async fn controller(_context: Arc<Context>, shutdown: CancellationToken) {
    shutdown.cancelled().await;
}
