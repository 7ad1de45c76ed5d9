//! `keepDocuments: false`: what a test has put into the database goes when the test is over.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, ServiceAccount},
};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use tailrace_crds::{
    Experiment, LoadTest, Pipeline,
    load_test::{Documents, LoadTestStatus},
};

use crate::{
    producers::{self, operator, ready_pipeline},
    support::Namespace,
};

/// A new namespace, with the ServiceAccount that every namespace has.
async fn namespace() -> Namespace {
    let namespace = producers::namespace().await;
    namespace.create_yaml::<ServiceAccount>("{apiVersion: v1, kind: ServiceAccount, metadata: {name: default}}").await;
    namespace
}

/// A test that keeps nothing, and has been aborted after its common start.
async fn is_over(namespace: &Namespace, name: &str, keep_documents: bool) {
    let yaml = format!(
        "{{apiVersion: tailrace.dev/v1alpha1, kind: LoadTest, metadata: {{name: {name}}}, spec: {{
          pipelineRef: {{name: cifar}}, producers: 1, load: {{closed: {{}}}}, keepDocuments: {keep_documents}, abort: true}}}}"
    );
    namespace.create_yaml::<LoadTest>(&yaml).await;
    let status = json!({ "phase": "Running", "startTime": "2026-01-01T00:00:00.000000Z" });
    namespace.patch_status::<LoadTest>(name, status).await.unwrap();
    let uid = namespace.get::<LoadTest>(name).await.uid().unwrap();
    let mark = Patch::Apply(json!({
        "apiVersion": "tailrace.dev/v1alpha1", "kind": "Pipeline",
        "status": { "activeLoadTest": { "name": name, "uid": uid } },
    }));
    let as_operator = PatchParams::apply("tailrace-load-test").force();
    namespace.api::<Pipeline>().patch_status("cifar", &as_operator, &mark).await.unwrap();
}

/// Plays the kubelet: the pod of the Job ends.
async fn pod_ends(namespace: &Namespace, job: &str, exit_code: i32, words: &str) {
    let of_job = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
    let ended =
        |pod: &Pod| matches!(pod.status.as_ref().and_then(|s| s.phase.as_deref()), Some("Succeeded" | "Failed"));
    for _ in 0..1200 {
        let pods = namespace.api::<Pod>().list(&of_job).await.unwrap();
        if let Some(pod) = pods.iter().find(|pod| !ended(pod)) {
            let container = json!({ "name": "documents", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "terminated": { "exitCode": exit_code, "message": words } } });
            let phase = if exit_code == 0 { "Succeeded" } else { "Failed" };
            let status = json!({ "phase": phase, "containerStatuses": [container] });
            namespace.patch_status::<Pod>(&pod.name_any(), status).await.unwrap();
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("Job {job} has no pod");
}

async fn told(namespace: &Namespace, name: &str) -> (Documents, LoadTestStatus) {
    let known = |test: &LoadTest| test.status.as_ref().is_some_and(|status| status.documents.is_some());
    let status = namespace.until::<LoadTest>(name, "rid of its documents", known).await.status.unwrap();
    (status.documents.clone().unwrap(), status)
}

fn holder(pipeline: &Pipeline) -> Option<String> {
    Some(pipeline.status.as_ref()?.active_load_test.as_ref()?.name.clone())
}

#[tokio::test]
async fn documents_are_deleted_before_the_next_test_gets_the_pipeline() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    is_over(&namespace, "first", false).await;
    let _operator = operator(&namespace);
    let job: Job = namespace.until("first-documents", "there", |_| true).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(holder(&namespace.get::<Pipeline>("cifar").await).as_deref(), Some("first"));
    let uid = namespace.get::<LoadTest>("first").await.uid();
    assert_eq!(Some(&job.owner_references()[0].uid), uid.as_ref());

    pod_ends(&namespace, "first-documents", 0, r#"{"images":30,"inferences":29}"#).await;
    let (documents, status) = told(&namespace, "first").await;
    assert_eq!(documents, Documents { deleted: true, message: "30 images and 29 answers were deleted".into() });
    assert!(status.result.warnings.is_empty(), "{:?}", status.result.warnings);
    let again = json!({ "documents": { "deleted": true, "message": "another one" } });
    namespace.patch_status::<LoadTest>("first", again).await.unwrap_err();
    namespace.until::<Pipeline>("cifar", "free", |pipeline| holder(pipeline).is_none()).await;
    namespace.until_gone::<Job>("first-documents").await;
}

#[tokio::test]
async fn documents_that_could_not_be_deleted_are_a_warning_and_hold_nothing_up() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    is_over(&namespace, "stuck", false).await;
    let _operator = operator(&namespace);
    namespace.until::<Job>("stuck-documents", "there", |_| true).await;
    // Instead of four pods that fail one after the other.
    let once = Patch::Merge(json!({ "spec": { "backoffLimit": 0 } }));
    namespace.api::<Job>().patch("stuck-documents", &PatchParams::default(), &once).await.unwrap();
    pod_ends(&namespace, "stuck-documents", 1, "the database does not answer").await;
    let (documents, status) = told(&namespace, "stuck").await;
    assert!(!documents.deleted);
    let expected = "what the test has put into the database is still there: the database does not answer";
    assert!(
        status.result.warnings.iter().any(|warning| warning.reason == "DocumentsLeft" && warning.message == expected)
    );
    namespace.until_event("stuck", &format!("Warning DocumentsLeft: {expected}")).await;
    namespace.until::<Pipeline>("cifar", "free", |pipeline| holder(pipeline).is_none()).await;
}

#[tokio::test]
async fn by_default_a_test_keeps_its_documents_and_an_experiment_does_not() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let yaml = "{apiVersion: tailrace.dev/v1alpha1, kind: LoadTest, metadata: {name: first}, spec: {
          pipelineRef: {name: cifar}, load: {closed: {}}}}";
    assert!(namespace.create_yaml::<LoadTest>(yaml).await.spec.keep_documents);
    let yaml = |name: &str, keep: &str| {
        format!(
            "{{apiVersion: tailrace.dev/v1alpha1, kind: Experiment, metadata: {{name: {name}}}, spec: {{
              sweep: {{producers: [1]}}, template: {{pipelineRef: {{name: cifar}}, load: {{closed: {{}}}}{keep}}}}}}}"
        )
    };
    let experiment = namespace.create_yaml::<Experiment>(&yaml("sweep", "")).await;
    assert!(!experiment.spec.template.keep_documents);
    let experiment = namespace.create_yaml::<Experiment>(&yaml("kept", ", keepDocuments: true")).await;
    assert!(experiment.spec.template.keep_documents);

    is_over(&namespace, "keeping", true).await;
    let _operator = operator(&namespace);
    namespace.until::<Pipeline>("cifar", "another's", |pipeline| holder(pipeline).as_deref() != Some("keeping")).await;
    assert!(namespace.api::<Job>().get_opt("keeping-documents").await.unwrap().is_none());
}
