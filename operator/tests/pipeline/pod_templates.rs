//! What users and the chart put on the pods of a Pipeline.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{PodTemplateSpec, ServiceAccount},
    rbac::v1::RoleBinding,
};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tailrace_crds::Pipeline;
use tailrace_operator::pipeline::controller;

use crate::{
    cluster::{job_of, namespace, operator, pipeline, yaml},
    support::{Namespace, Operator},
};

/// Where a Pipeline has a podTemplate.
const PLACES: [[&str; 2]; 6] = [
    ["{kafka: {managed: {podTemplate: ", "}}}"],
    ["{mongodb: {managed: {podTemplate: ", "}}}"],
    ["{inference: {podTemplate: ", "}}"],
    ["{inference: {consumer: {podTemplate: ", "}}}"],
    ["{archive: {podTemplate: ", "}}"],
    ["{jobs: {podTemplate: ", "}}"],
];

#[tokio::test]
async fn a_pod_template_that_cannot_be_is_refused_with_what_to_write_wherever_it_is() {
    let namespace = namespace().await;
    for [before, after] in PLACES {
        for (template, answer) in [
            ("{labels: {tailrace.dev/pipeline: a}}", "labels that begin with tailrace.dev/ or app.kubernetes.io/"),
            ("{labels: {app.kubernetes.io/name: a}}", "labels that begin with tailrace.dev/ or app.kubernetes.io/"),
            ("{labels: {'a b': c}}", "not the key of a label: write up to 63 letters"),
            ("{labels: {a: 'b c'}}", "not the value of a label: write up to 63 letters"),
            ("{annotations: {tailrace.dev/rerun: a}}", "annotations that begin with tailrace.dev/"),
            ("{annotations: {'a b': c}}", "not the key of an annotation"),
            ("{nodeSelector: {disk: 'very fast'}}", "not the value of a label"),
            ("{imagePullSecrets: [{name: My_Secret}]}", "write the name of a Secret, in lower-case letters"),
            ("{priorityClassName: High}", "write the name of a PriorityClass"),
            ("{runtimeClassName: 'a b'}", "write the name of a RuntimeClass"),
            ("{serviceAccountName: ''}", "write the name of a ServiceAccount"),
            (
                "{serviceAccountName: a, serviceAccountAnnotations: {b: c}}",
                "annotate the account that serviceAccountName names",
            ),
            ("{resources: {claims: [{name: gpu}]}}", "leave claims out, and write requests and limits"),
        ] {
            let spec = format!("{before}{template}{after}");
            let refusal = namespace.try_create_yaml::<Pipeline>(&yaml(&spec)).await.expect_err(&spec);
            assert!(refusal.contains("podTemplate") && refusal.contains(answer), "{spec}: {refusal}");
        }
    }
}

#[tokio::test]
async fn what_is_written_twice_is_refused_and_once_is_taken_at_either_place() {
    let namespace = namespace().await;
    let resources = "resources: {requests: {cpu: 300m}}";
    for [part, field] in [
        ["kafka: {managed: {", resources],
        ["mongodb: {managed: {", resources],
        ["inference: {", resources],
        ["inference: {", "nodeSelector: {disk: fast}"],
        ["inference: {", "tolerations: [{key: gpu, operator: Exists}]"],
    ] {
        let ends = "}".repeat(part.matches('{').count());
        let name = field.split(':').next().unwrap();
        let twice = format!("{{{part}{field}, podTemplate: {{{field}}}{ends}}}");
        let refusal = namespace.try_create_yaml::<Pipeline>(&yaml(&twice)).await.expect_err(&twice);
        assert!(
            refusal.contains(&format!("written twice: keep podTemplate.{name}, and leave out {name} beside it")),
            "{twice}: {refusal}"
        );
        for once in [format!("{{{part}{field}{ends}}}"), format!("{{{part}podTemplate: {{{field}}}{ends}}}")] {
            namespace.create_yaml::<Pipeline>(&yaml(&once)).await;
            namespace.delete::<Pipeline>("cifar").await;
            namespace.until_gone::<Pipeline>("cifar").await;
        }
    }
}

/// A template with something in each field; the labels and annotations say whose it is.
fn template(part: &str) -> String {
    format!(
        "{{labels: {{part: {part}}}, annotations: {{part: {part}}}, imagePullSecrets: [{{name: registry}}], \
          nodeSelector: {{pool: a}}, tolerations: [{{key: a, operator: Exists}}], priorityClassName: high, \
          runtimeClassName: gvisor, serviceAccountAnnotations: {{role: {part}}}, \
          resources: {{requests: {{cpu: 77m, memory: 400Mi}}}}, \
          affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [\
            {{matchExpressions: [{{key: a, operator: Exists}}]}}]}}}}}}, \
          topologySpreadConstraints: [{{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}}]}}"
    )
}

#[tokio::test]
async fn the_api_server_takes_every_field_at_every_part() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    let [kafka, database, inference, archive, jobs] =
        ["kafka", "database", "inference", "archive", "jobs"].map(template);
    let spec = format!(
        "{{kafka: {{managed: {{podTemplate: {kafka}}}}}, mongodb: {{managed: {{podTemplate: {database}}}}}, \
          inference: {{podTemplate: {inference}}}, archive: {{podTemplate: {archive}}}, jobs: {{podTemplate: {jobs}}}}}"
    );
    pipeline(&namespace, &spec).await;

    let mut pods = vec![];
    for part in ["kafka", "database"] {
        let set = namespace.until::<StatefulSet>(&format!("cifar-{part}"), "there", |_| true).await;
        pods.push((part, part, set.spec.unwrap().template));
    }
    for part in ["inference", "archive"] {
        let deployment = namespace.until::<Deployment>(&format!("cifar-{part}"), "there", |_| true).await;
        pods.push((part, part, deployment.spec.unwrap().template));
    }
    for part in ["topics", "check"] {
        let job = namespace.get::<Job>(&job_of(&namespace, part, "").await).await;
        pods.push((part, "jobs", job.spec.unwrap().template));
    }
    for (part, written, pod) in pods {
        has_all(&namespace, part, written, pod).await;
    }
    let binding = namespace.get::<RoleBinding>("cifar-worker").await;
    let permitted: Vec<_> = binding.subjects.unwrap().into_iter().map(|subject| subject.name).collect();
    assert_eq!(permitted, ["cifar-inference", "cifar-archive"], "they report under accounts of their own");
}

async fn has_all(namespace: &Namespace, part: &str, written: &str, pod: PodTemplateSpec) {
    let metadata = pod.metadata.unwrap();
    let [labels, annotations] = [metadata.labels, metadata.annotations].map(Option::unwrap);
    assert_eq!([labels["part"].as_str(), annotations["part"].as_str()], [written, written], "{part}");
    assert_eq!(labels["app.kubernetes.io/component"], part);
    let spec = pod.spec.unwrap();
    assert_eq!(spec.image_pull_secrets.unwrap()[0].name, "registry", "{part}");
    assert_eq!(spec.node_selector.unwrap()["pool"], "a", "{part}");
    assert_eq!(spec.tolerations.unwrap()[0].key.as_deref(), Some("a"), "{part}");
    assert_eq!(spec.priority_class_name.as_deref(), Some("high"), "{part}");
    assert_eq!(spec.runtime_class_name.as_deref(), Some("gvisor"), "{part}");
    assert_eq!(spec.containers[0].resources.as_ref().unwrap().requests.as_ref().unwrap()["cpu"].0, "77m", "{part}");
    assert!(spec.affinity.unwrap().node_affinity.is_some(), "{part}");
    let counted = spec.topology_spread_constraints.unwrap()[0].label_selector.clone().unwrap().match_labels.unwrap();
    assert_eq!(counted["app.kubernetes.io/component"], part, "the pods of the same part");

    let account = spec.service_account_name.unwrap();
    assert_eq!(account, format!("cifar-{part}"));
    let account = namespace.until::<ServiceAccount>(&account, "there", |_| true).await;
    assert_eq!(account.annotations()["role"], written, "{part}");
}

#[tokio::test]
async fn accounts_that_are_made_have_the_pull_secrets_of_the_namespace_and_go_when_they_are_not_wanted() {
    let namespace = namespace().await;
    let patch = Patch::Merge(json!({ "imagePullSecrets": [{ "name": "registry" }] }));
    namespace.api::<ServiceAccount>().patch("default", &PatchParams::default(), &patch).await.unwrap();
    let _operator = operator(&namespace);
    pipeline(&namespace, "{archive: {podTemplate: {serviceAccountAnnotations: {role: archive}}}}").await;
    for name in ["cifar-worker", "cifar-archive"] {
        let has_some = |account: &ServiceAccount| account.image_pull_secrets.is_some();
        let account = namespace.until::<ServiceAccount>(name, "with pull secrets", has_some).await;
        let secrets: Vec<_> = account.image_pull_secrets.unwrap().into_iter().map(|secret| secret.name).collect();
        assert_eq!(secrets, ["registry"], "{name}");
    }

    let patch = Patch::Merge(json!({ "spec": { "archive": { "podTemplate": null } } }));
    namespace.api::<Pipeline>().patch("cifar", &PatchParams::default(), &patch).await.unwrap();
    namespace.until_gone::<ServiceAccount>("cifar-archive").await;
    let account = |deployment: &Deployment| {
        let pod = deployment.spec.as_ref().unwrap().template.spec.clone().unwrap();
        pod.service_account_name
    };
    let moved = |deployment: &Deployment| account(deployment).as_deref() == Some("cifar-worker");
    namespace.until::<Deployment>("cifar-archive", "under the workers' account", moved).await;
}

#[tokio::test]
async fn pods_have_what_the_operator_was_told_for_all_pods() {
    let namespace = namespace().await;
    let _operator = Operator::with_settings(&namespace, controller, |settings| {
        settings.pods = serde_json::from_value(json!({
            "imagePullSecrets": [{ "name": "mirror" }], "annotations": { "sidecar.istio.io/inject": "false" },
        }))
        .unwrap();
    });
    pipeline(&namespace, "{archive: {podTemplate: {annotations: {sidecar.istio.io/inject: 'true'}}}}").await;
    for (name, inject) in [("cifar-inference", "false"), ("cifar-archive", "true")] {
        let deployment = namespace.until::<Deployment>(name, "there", |_| true).await;
        let pod = deployment.spec.unwrap().template;
        assert_eq!(pod.metadata.unwrap().annotations.unwrap()["sidecar.istio.io/inject"], inject, "{name}");
        assert_eq!(pod.spec.unwrap().image_pull_secrets.unwrap()[0].name, "mirror", "{name}");
    }
}
