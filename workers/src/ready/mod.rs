//! Asks a worker whether it can do its work: the health check of a container that has no other program to ask with.

use std::time::Duration;

use anyhow::{Context, ensure};
use axum::http::{StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Empty, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

use crate::http::HealthArgs;

/// How long the answer may take.
const LIMIT: Duration = Duration::from_secs(2);
/// And how long it may be.
const MOST_BYTES: usize = 64 << 10;

/// Asks the worker that has the same address.
///
/// # Errors
/// It is not ready, or nobody answers.
pub fn run(args: &HealthArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let url: Uri = format!("http://{}/readyz", args.http_address).parse()?;
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let asked = tokio::time::timeout(LIMIT, client.get(url.clone())).await;
        let answer = asked.with_context(|| format!("{url} did not answer within {LIMIT:?}"))?;
        let answer = answer.with_context(|| format!("{url} did not answer"))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST_BYTES).collect();
        let body = tokio::time::timeout(LIMIT, body).await.ok().and_then(Result::ok).map(Collected::to_bytes);
        let sentence = String::from_utf8_lossy(&body.unwrap_or_default()).trim().to_owned();
        ensure!(status == StatusCode::OK, "not ready: {sentence}");
        Ok(())
    })
}
