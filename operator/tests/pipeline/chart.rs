//! The chart's objects against a real API server, and the operator with the permissions that the chart gives it.

use std::{collections::BTreeMap, path::Path, process::Command};

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Secret},
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde::Deserialize;
use serde_json::json;
use tailrace_crds::{Experiment, LoadTest, Pipeline, pod_template::PodTemplate};
use tailrace_operator::{pod_template::inherited_by_all, run_controllers};

use crate::{
    cluster::{becomes_ready, everything_runs, namespace, pipeline, until_event, until_ready},
    support::{Namespace, Operator, api_server, program},
};

/// The objects of a release that is named like its namespace.
fn rendered(namespace: &Namespace, values: &str) -> Vec<DynamicObject> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/tailrace");
    let name = namespace.name.as_str();
    let output = Command::new(program("helm"))
        .args(["template", name, "--namespace", name, "--kube-version", "1.33", "--set", values])
        .arg(chart)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_yaml_ng::Deserializer::from_slice(&output.stdout)
        .filter_map(|document| Option::<DynamicObject>::deserialize(document).unwrap())
        .collect()
}

/// Applies an object, or only asks whether the API server would take it.
async fn apply(namespace: &Namespace, object: &DynamicObject, dry_run: bool) {
    let types = object.types.as_ref().unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types).unwrap());
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(own) => Api::namespaced_with(namespace.client.clone(), own, &resource),
        None => Api::all_with(namespace.client.clone(), &resource),
    };
    let name = object.metadata.name.as_deref().unwrap();
    let parameters = PatchParams { dry_run, ..PatchParams::apply("helm").force() };
    let applied = api.patch(name, &parameters, &Patch::Apply(object)).await;
    applied.unwrap_or_else(|refusal| panic!("{} {name}: {refusal}", types.kind));
}

#[tokio::test]
async fn the_api_server_takes_all_objects_of_the_chart() {
    let namespace = namespace().await;
    let narrow = format!("watchNamespace={}", namespace.name);
    for values in ["global.imageRegistry=x", narrow.as_str(), "replicas=2,images.kafka.registry=mirror.example"] {
        let objects = rendered(&namespace, values);
        assert!(objects.len() >= 10, "{} objects with {values}", objects.len());
        for object in objects {
            apply(&namespace, &object, true).await;
        }
    }
}

/// The environment of the operator's container.
fn environment(objects: &[DynamicObject]) -> BTreeMap<String, String> {
    let deployment = objects.iter().find(|object| object.types.as_ref().unwrap().kind == "Deployment").unwrap();
    let container = &deployment.data["spec"]["template"]["spec"]["containers"][0];
    let variables = container["env"].as_array().unwrap().iter();
    variables
        .filter_map(|variable| Some((variable["name"].as_str()?.to_owned(), variable["value"].as_str()?.to_owned())))
        .collect()
}

#[tokio::test]
async fn values_for_all_pods_and_those_of_a_parent_chart_reach_the_operator() {
    let namespace = namespace().await;
    let plain = environment(&rendered(&namespace, "replicas=1"));
    assert_eq!(inherited_by_all(&plain["TAILRACE_PODS"]), Ok(PodTemplate::default()));

    let values = "global.imageRegistry=mirror.example,images.kafka.registry=own.example,\
        global.imagePullSecrets[0]=parent,global.imagePullSecrets[1].name=mirror,pods.imagePullSecrets[0].name=mirror,\
        pods.labels.team=vision,pods.nodeSelector.pool=a,pods.priorityClassName=low,log.level=debug,log.format=json";
    let objects = rendered(&namespace, values);
    let told = environment(&objects);
    assert_eq!(
        told["TAILRACE_WORKER_IMAGE"],
        plain["TAILRACE_WORKER_IMAGE"].replace("tailrace/", "mirror.example/tailrace/")
    );
    assert!(told["TAILRACE_KAFKA_IMAGE"].starts_with("own.example/apache/kafka:"), "{}", told["TAILRACE_KAFKA_IMAGE"]);
    assert_eq!([&told["RUST_LOG"], &told["TAILRACE_LOG_FORMAT"]], ["debug", "json"]);
    let pods = inherited_by_all(&told["TAILRACE_PODS"]).unwrap();
    let secrets: Vec<_> = pods.image_pull_secrets.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(secrets, ["mirror", "parent"]);
    assert_eq!((pods.labels["team"].as_str(), pods.node_selector["pool"].as_str()), ("vision", "a"));
    assert_eq!(pods.priority_class_name.as_deref(), Some("low"));
    let deployment = objects.iter().find(|object| object.types.as_ref().unwrap().kind == "Deployment").unwrap();
    let own = &deployment.data["spec"]["template"]["spec"]["imagePullSecrets"];
    assert_eq!(*own, json!([{ "name": "parent" }, { "name": "mirror" }]));
}

#[tokio::test]
async fn definitions_are_upgraded_by_helm_and_kept_by_it() {
    let namespace = namespace().await;
    let definitions: Vec<_> = rendered(&namespace, "replicas=1")
        .into_iter()
        .filter(|object| object.types.as_ref().unwrap().kind == "CustomResourceDefinition")
        .collect();
    assert_eq!(definitions.len(), 4);
    for definition in definitions {
        assert_eq!(definition.metadata.annotations.unwrap()["helm.sh/resource-policy"], "keep");
    }
}

/// The operator as the chart installs it: with its ServiceAccount.
async fn as_operator(namespace: &Namespace, values: &str) -> Namespace {
    for object in rendered(namespace, values) {
        let kind = object.types.as_ref().unwrap().kind.as_str();
        if kind.contains("Role") || kind == "ServiceAccount" {
            apply(namespace, &object, false).await;
        }
    }
    let account = format!("{}-tailrace-operator", namespace.name);
    api_server().await.as_account(namespace, &account).await
}

async fn makes_a_pipeline_ready_and_starts_a_load_test(values: &str) {
    let namespace = namespace().await;
    let values = values.replace("NAMESPACE", &namespace.name);
    let permitted = as_operator(&namespace, &values).await;
    let _operator = Operator::start(&permitted, run_controllers);
    pipeline(&namespace, "{}").await;
    becomes_ready(&namespace).await;
    until_event(&namespace, "Normal Checked").await;

    let policy = Patch::Merge(json!({ "spec": { "deletionPolicy": "Delete" } }));
    namespace.api::<Pipeline>().patch("cifar", &PatchParams::default(), &policy).await.unwrap();
    let is_owned = |claim: &PersistentVolumeClaim| claim.metadata.owner_references.is_some();
    namespace.until("data-cifar-kafka-0", "owned by the Pipeline", is_owned).await;
    everything_runs(&namespace).await;
    until_ready(&namespace).await;

    let load_test = "{apiVersion: tailrace.dev/v1alpha1, kind: LoadTest, metadata: {name: closed},
        spec: {pipelineRef: {name: cifar}, producers: 1, load: {closed: {}}}}";
    namespace.create_yaml::<LoadTest>(load_test).await;
    namespace.until::<Job>("closed-producer-0", "there", |_| true).await;
    let deleted = namespace.api::<LoadTest>();
    deleted.delete("closed", &Default::default()).await.unwrap();
    namespace.until_gone::<Job>("closed-producer-0").await;

    runs_and_aborts_an_experiment(&namespace, &permitted).await;

    let secrets = permitted.api::<Secret>().list(&ListParams::default()).await;
    assert!(matches!(secrets, Err(kube::Error::Api(status)) if status.is_forbidden()), "the operator reads Secrets");
    assert!(permitted.api::<Pipeline>().get("cifar").await.is_ok());
}

/// LoadTests are made, deleted in another round, and aborted.
async fn runs_and_aborts_an_experiment(namespace: &Namespace, permitted: &Namespace) {
    let experiment = "{apiVersion: tailrace.dev/v1alpha1, kind: Experiment, metadata: {name: sweep},
        spec: {sweep: {producers: [1]}, template: {pipelineRef: {name: cifar}, load: {closed: {}}}}}";
    namespace.create_yaml::<Experiment>(experiment).await;
    namespace.until::<LoadTest>("sweep-1-01-1", "there", |_| true).await;
    let again = Patch::Merge(json!({ "metadata": { "annotations": { "tailrace.dev/rerun": "1" } } }));
    namespace.api::<Experiment>().patch("sweep", &PatchParams::default(), &again).await.unwrap();
    namespace.until::<LoadTest>("sweep-2-01-1", "there", |_| true).await;
    namespace.until_gone::<LoadTest>("sweep-1-01-1").await;

    let abort = Patch::Merge(json!({ "spec": { "abort": true } }));
    namespace.api::<Experiment>().patch("sweep", &PatchParams::default(), &abort).await.unwrap();
    let over = |experiment: &Experiment| experiment.status.as_ref().is_some_and(|status| status.phase.is_final());
    namespace.until::<Experiment>("sweep", "over", over).await;
    let changed = permitted.api::<Experiment>().patch("sweep", &PatchParams::default(), &abort).await;
    assert!(
        matches!(changed, Err(kube::Error::Api(status)) if status.is_forbidden()),
        "the operator changes Experiments"
    );
}

#[tokio::test]
async fn the_charts_cluster_role_is_all_that_the_operator_needs() {
    makes_a_pipeline_ready_and_starts_a_load_test("replicas=1").await;
}

#[tokio::test]
async fn for_one_namespace_a_role_there_is_all_that_the_operator_needs() {
    makes_a_pipeline_ready_and_starts_a_load_test("watchNamespace=NAMESPACE").await;
}
