//! What a worker of a Pipeline may do, asked of the API server with the token of its ServiceAccount.

use k8s_openapi::api::{
    core::v1::{Pod, Secret},
    rbac::v1::RoleBinding,
};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tailrace_crds::Pipeline;

use crate::{
    cluster::{namespace, operator, pipeline},
    support::{Namespace, api_server},
};

/// The namespace as the workers of the Pipeline cifar see it.
async fn as_worker(namespace: &Namespace) -> Namespace {
    namespace.until::<RoleBinding>("cifar-worker", "there", |_| true).await;
    api_server().await.as_account(namespace, "cifar-worker").await
}

fn is_forbidden<T: std::fmt::Debug>(answer: Result<T, kube::Error>) -> bool {
    matches!(answer, Err(kube::Error::Api(status)) if status.code == 403)
}

fn says(name: &str) -> Patch<Value> {
    let worker = json!({
        "component": "inference", "ready": true, "reason": "Ready", "message": "ready", "since": "2026-01-31T12:00:00Z",
    });
    Patch::Apply(json!({
        "apiVersion": "tailrace.dev/v1alpha1", "kind": "Pipeline", "metadata": {"name": name},
        "status": {"workers": {"cifar-inference-x": worker}},
    }))
}

#[tokio::test]
async fn a_worker_may_say_how_it_is_in_the_status_of_its_pipeline_and_nothing_else() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{}").await;
    let worker = as_worker(&namespace).await;
    let (pipelines, how) = (worker.api::<Pipeline>(), PatchParams::apply("cifar-inference-x").force());
    pipelines.patch_status("cifar", &how, &says("cifar")).await.unwrap();

    assert!(is_forbidden(pipelines.patch_status("other", &how, &says("other")).await));
    assert!(is_forbidden(pipelines.get("cifar").await));
    let spec = Patch::Merge(json!({"spec": {"archive": {"enabled": false}}}));
    assert!(is_forbidden(pipelines.patch("cifar", &PatchParams::default(), &spec).await));
    assert!(is_forbidden(worker.api::<Pod>().list(&ListParams::default()).await));
    assert!(is_forbidden(worker.api::<Secret>().list(&ListParams::default()).await));
}
