//! On Kubernetes, a worker says how it is in the status of its Pipeline.

use std::time::Duration;

use anyhow::Context;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tailrace_crds::{Pipeline, pipeline::WorkerStatus};
use tokio::time::{sleep, timeout};

use super::Readiness;
use crate::backoff::Backoff;

/// How long one write may take; the last one has no more either.
const WRITE_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two writes at least.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a worker reports; all or nothing is given. Without it, nothing is reported.
#[derive(clap::Args, Clone, Debug)]
pub struct Reporting {
    /// The name of the Pipeline that this worker is part of.
    #[arg(long, env = "TAILRACE_PIPELINE_NAME", requires_all = ["pod_namespace", "pod_name"])]
    pub pipeline_name: Option<String>,
    /// The namespace of both.
    #[arg(id = "pod_namespace", long = "namespace", env = "TAILRACE_NAMESPACE")]
    pub namespace: Option<String>,
    /// The name of this pod.
    #[arg(id = "pod_name", long, env = "TAILRACE_POD_NAME")]
    pub pod_name: Option<String>,
}

impl Reporting {
    /// Reports each change until `readiness` is told to stop, then takes the report back.
    pub async fn run(self, component: &'static str, readiness: Readiness) {
        let Self { pipeline_name: Some(pipeline), namespace: Some(namespace), pod_name: Some(pod) } = self else {
            return;
        };
        let mut changes = readiness.changed.subscribe();
        let mut backoff = Backoff::new(PAUSE, Duration::from_secs(60));
        let mut said = String::new();
        let mut reporter = None;
        while !readiness.stop.is_cancelled() {
            let delay = match report(&mut reporter, &namespace, &pipeline, &pod, component, &readiness).await {
                Ok(()) => {
                    backoff.reset();
                    tokio::select! {
                        () = readiness.stop.cancelled() => break,
                        changed = changes.changed() => if changed.is_err() { break },
                    }
                    PAUSE
                }
                Err(error) => {
                    let sentence = format!("the status of the Pipeline {pipeline} is not written: {error:#}");
                    if said != sentence {
                        tracing::warn!("{sentence}");
                        said = sentence;
                    }
                    backoff.delay()
                }
            };
            // What is said is read only now, so that what changed meanwhile is said too.
            tokio::select! {
                () = readiness.stop.cancelled() => break,
                () = sleep(delay) => {}
            }
        }
        if let Some(api) = reporter {
            // A pod that is gone has nothing to say; the operator drops what it could not take back.
            if let Err(error) = take_back(&api, &pipeline, &pod).await {
                tracing::warn!(
                    "what this pod said in the status of the Pipeline {pipeline} is not taken back: {error:#}"
                );
            }
        }
    }
}

async fn report(
    reporter: &mut Option<Api<Pipeline>>,
    namespace: &str,
    pipeline: &str,
    pod: &str,
    component: &str,
    readiness: &Readiness,
) -> anyhow::Result<()> {
    let api = match reporter {
        Some(api) => api,
        None => {
            let client = Client::try_default().await.context("the API server cannot be reached")?;
            reporter.insert(Api::namespaced(client, namespace))
        }
    };
    write(api, pipeline, pod, &readiness.status(component)).await
}

/// By server-side apply: what was written before and is left out now goes, and nobody else's field is touched.
async fn write(api: &Api<Pipeline>, pipeline: &str, pod: &str, says: &WorkerStatus) -> anyhow::Result<()> {
    let applied = json!({
        "apiVersion": "tailrace.dev/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": pipeline},
        "status": {"workers": {pod: says}},
    });
    patch(api, pipeline, &PatchParams::apply(pod).force(), &Patch::Apply(applied)).await
}

/// By a merge: where the last entry is applied away, the API server takes the rest for null and refuses it.
async fn take_back(api: &Api<Pipeline>, pipeline: &str, pod: &str) -> anyhow::Result<()> {
    let merged = json!({"status": {"workers": {pod: null}}});
    patch(api, pipeline, &PatchParams::default(), &Patch::Merge(merged)).await
}

async fn patch(api: &Api<Pipeline>, pipeline: &str, how: &PatchParams, patch: &Patch<Value>) -> anyhow::Result<()> {
    timeout(WRITE_TIMEOUT, api.patch_status(pipeline, how, patch))
        .await
        .with_context(|| format!("no answer from the API server within {WRITE_TIMEOUT:?}"))??;
    Ok(())
}
