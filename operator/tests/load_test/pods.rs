//! The pods of the producers: what they are given, and what becomes of a test whose pods cannot be.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Container, LimitRange, Pod, PodSpec, ServiceAccount},
    rbac::v1::RoleBinding,
};
use kube::{ResourceExt, api::ListParams};
use serde_json::json;
use tailrace_crds::{
    LoadTest, Pipeline,
    conditions::{reasons, types},
    load_test::Phase,
};
use tailrace_operator::{conditions::find, load_test::controller};
use tokio::time::sleep;

use crate::{
    producers::{Run, namespace, operator, play, ready_pipeline, until_finished, yaml},
    support::{Namespace, Operator, Refusal, owned_by},
};

/// A LoadTest of one producer with this more in its spec.
async fn created(namespace: &Namespace, name: &str, more: &str) {
    namespace.create_yaml::<LoadTest>(&yaml(name, 1, "{closed: {}}", more)).await;
}

/// The pod of its producer, as the Job has it in the API server.
async fn pod(namespace: &Namespace, test: &str) -> PodSpec {
    let job = namespace.until::<Job>(&format!("{test}-producer-0"), "there", |_| true).await;
    job.spec.unwrap().template.spec.unwrap()
}

fn variables(container: &Container) -> BTreeMap<&str, &str> {
    let variables = container.env.as_ref().unwrap().iter();
    variables.filter_map(|variable| Some((variable.name.as_str(), variable.value.as_deref()?))).collect()
}

#[tokio::test]
async fn ones_own_images_are_mounted_read_only() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    let dataset =
        "{source: Volume, volume: {claimName: photos, path: test/day}, encoding: Jpeg, jpegQuality: 60, seed: 7}";
    created(&namespace, "own", &format!(", dataset: {dataset}")).await;
    let pod = pod(&namespace, "own").await;

    let volumes = pod.volumes.unwrap();
    let images = volumes.iter().find(|volume| volume.name == "images").unwrap();
    let claim = images.persistent_volume_claim.as_ref().unwrap();
    assert_eq!((claim.claim_name.as_str(), claim.read_only), ("photos", Some(true)));
    let mounts = pod.containers[0].volume_mounts.as_ref().unwrap();
    let mount = mounts.iter().find(|mount| mount.name == "images").unwrap();
    assert_eq!((mount.mount_path.as_str(), mount.read_only), ("/images", Some(true)));
    let told = variables(&pod.containers[0]);
    for (name, value) in [
        ("TAILRACE_DATASET_SOURCE", "folder"),
        ("TAILRACE_DATASET", "/images/test/day"),
        ("TAILRACE_ENCODING", "jpeg"),
        ("TAILRACE_JPEG_QUALITY", "60"),
        ("TAILRACE_SEED", "7"),
    ] {
        assert_eq!(told.get(name), Some(&value), "{name}");
    }
}

#[tokio::test]
async fn without_a_template_the_pods_are_as_they_always_were() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    created(&namespace, "plain", "").await;
    let pod = pod(&namespace, "plain").await;
    let names: Vec<_> = pod.volumes.unwrap().into_iter().map(|volume| volume.name).collect();
    assert_eq!(names, ["tmp"]);
    assert_eq!((pod.node_selector, pod.tolerations, pod.topology_spread_constraints), (None, None, None));
    let resources = pod.containers[0].resources.as_ref().unwrap();
    assert_eq!(resources.limits.as_ref().unwrap().keys().collect::<Vec<_>>(), ["memory"], "a CPU limit would throttle");
    assert_eq!(resources.requests.as_ref().unwrap()["cpu"].0, "100m");
    assert_eq!(variables(&pod.containers[0])["TAILRACE_DATASET_LIMIT"], (256 << 20).to_string());
}

#[tokio::test]
async fn a_template_says_where_producers_run_and_with_how_much() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    let template = "{resources: {requests: {cpu: '1', memory: 256Mi}, limits: {cpu: '2', memory: 1Gi}}, \
        nodeSelector: {pool: load}, tolerations: [{key: load, operator: Exists, effect: NoSchedule}], \
        topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule}], \
        labels: {team: vision}, annotations: {sidecar.istio.io/inject: 'false'}, imagePullSecrets: [{name: registry}], \
        priorityClassName: high, runtimeClassName: gvisor, affinity: {podAntiAffinity: {\
        requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, labelSelector: {matchLabels: {a: b}}}]}}}";
    created(&namespace, "placed", &format!(", podTemplate: {template}")).await;
    let job = namespace.until::<Job>("placed-producer-0", "there", |_| true).await;
    let metadata = job.spec.unwrap().template.metadata.unwrap();
    assert_eq!(metadata.labels.unwrap()["team"], "vision");
    assert_eq!(metadata.annotations.unwrap()["sidecar.istio.io/inject"], "false");
    let pod = pod(&namespace, "placed").await;

    let resources = pod.containers[0].resources.as_ref().unwrap();
    let limits = resources.limits.as_ref().unwrap();
    assert_eq!((limits["cpu"].0.as_str(), limits["memory"].0.as_str()), ("2", "1Gi"));
    assert_eq!(resources.requests.as_ref().unwrap()["memory"].0, "256Mi");
    assert_eq!(variables(&pod.containers[0])["TAILRACE_DATASET_LIMIT"], (512 << 20).to_string());
    assert_eq!(pod.node_selector.unwrap()["pool"], "load");
    assert_eq!(pod.tolerations.unwrap()[0].effect.as_deref(), Some("NoSchedule"));
    let spread = &pod.topology_spread_constraints.unwrap()[0];
    assert_eq!((spread.max_skew, spread.topology_key.as_str()), (1, "kubernetes.io/hostname"));
    let counted = spread.label_selector.as_ref().unwrap().match_labels.as_ref().unwrap();
    assert_eq!(counted["tailrace.dev/load-test"], "placed", "the producers of this test");
    let secrets: Vec<_> = pod.image_pull_secrets.unwrap().into_iter().map(|secret| secret.name).collect();
    assert_eq!(secrets, ["registry"]);
    assert_eq!([pod.priority_class_name.as_deref(), pod.runtime_class_name.as_deref()], [Some("high"), Some("gvisor")]);
    let avoided = pod.affinity.unwrap().pod_anti_affinity.unwrap();
    assert_eq!(avoided.required_during_scheduling_ignored_during_execution.unwrap()[0].topology_key, "zone");
    let preferred = avoided.preferred_during_scheduling_ignored_during_execution.unwrap();
    assert_eq!(
        preferred[0].pod_affinity_term.topology_key, "kubernetes.io/hostname",
        "away from the Pipeline, as always"
    );
}

#[tokio::test]
async fn producers_have_the_pull_secrets_of_the_namespace_and_the_annotations_of_the_template() {
    let namespace = namespace().await;
    let own = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: default}, imagePullSecrets: [{name: registry}]}";
    namespace.create_yaml::<ServiceAccount>(own).await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    created(&namespace, "own", ", podTemplate: {serviceAccountAnnotations: {role: producer}}").await;
    assert_eq!(pod(&namespace, "own").await.service_account_name.as_deref(), Some("own-producer"));
    let account = namespace.get::<ServiceAccount>("own-producer").await;
    assert_eq!(account.annotations()["role"], "producer");
    assert_eq!(account.image_pull_secrets.unwrap()[0].name, "registry");
    namespace.delete::<LoadTest>("own").await;
    namespace.until_gone::<Job>("own-producer-0").await;

    created(&namespace, "named", ", podTemplate: {serviceAccountName: builder}").await;
    assert_eq!(pod(&namespace, "named").await.service_account_name.as_deref(), Some("builder"));
    let binding = namespace.get::<RoleBinding>("named-producer").await;
    assert_eq!(binding.subjects.unwrap()[0].name, "builder");
    assert!(namespace.api::<ServiceAccount>().get_opt("named-producer").await.unwrap().is_none());
}

#[tokio::test]
async fn producers_have_what_the_operator_was_told_for_all_pods() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = Operator::with_settings(&namespace, controller, |settings| {
        settings.pods = serde_json::from_value(json!({ "nodeSelector": { "pool": "all", "arch": "arm64" } })).unwrap();
        settings.log.level = "debug".into();
    });
    created(&namespace, "told", ", podTemplate: {nodeSelector: {pool: load}}").await;
    let pod = pod(&namespace, "told").await;
    assert_eq!(
        pod.node_selector.unwrap(),
        [("arch", "arm64"), ("pool", "load")].map(|(k, v)| (k.into(), v.into())).into()
    );
    assert_eq!(variables(&pod.containers[0])["RUST_LOG"], "debug");
}

#[tokio::test]
async fn a_limit_that_the_namespace_gives_is_in_the_environment_and_named_in_the_sentence() {
    let namespace = namespace().await;
    let range = "{apiVersion: v1, kind: LimitRange, metadata: {name: small}, \
        spec: {limits: [{type: Container, default: {cpu: 60m}}]}}";
    namespace.create_yaml::<LimitRange>(range).await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    created(&namespace, "limited", ", podTemplate: {resources: {requests: {cpu: 50m, memory: 128Mi}}}").await;
    let of_test = ListParams::default().labels("tailrace.dev/load-test=limited");
    while namespace.api::<Pod>().list(&of_test).await.unwrap().items.is_empty() {
        sleep(Duration::from_millis(50)).await;
    }
    play(&namespace, "limited", &[Run { throttled_micros: 250_000, ..Run::of(50, 2_000) }]).await;
    let status = until_finished(&namespace, "limited").await.status.unwrap();
    let valid = find(&status.conditions, types::RESULTS_VALID).unwrap();
    assert_eq!(valid.reason, reasons::GENERATOR_SATURATED);
    let sentence = "by their CPU limit of 60m, which a LimitRange of the namespace gives to containers without one";
    assert!(valid.message.contains(sentence), "{}", valid.message);
    assert!(valid.message.ends_with("write a higher spec.podTemplate.resources.limits.cpu, or change the LimitRange"));
    let environment = status.result.environment.unwrap();
    assert_eq!(environment.resources["producer"], "cpu 50m..60m, memory 128Mi");
    let told = &environment.annotations["producer"]["kubernetes.io/limit-ranger"];
    assert!(told.contains("cpu limit for container producer"), "{told}");
}

#[tokio::test]
async fn a_test_whose_objects_the_api_server_refuses_ends_with_its_sentence() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    created(&namespace, "first", "").await;
    pod(&namespace, "first").await;
    let uid = namespace.get::<LoadTest>("first").await.uid().unwrap();
    let resources = owned_by(&namespace, &uid).await.into_iter().map(|object| object.resource);
    let resources: BTreeSet<_> = resources.map(|resource| (resource.group, resource.plural)).collect();
    assert!(resources.len() >= 5, "{resources:?}");
    namespace.delete::<LoadTest>("first").await;

    for (group, resource) in resources {
        let refusal = Refusal::of(&namespace, &group, &resource).await;
        created(&namespace, &resource, "").await;
        let status = until_finished(&namespace, &resource).await.status.unwrap();
        assert_eq!(status.phase, Phase::Failed, "{resource}");
        let valid = find(&status.conditions, types::RESULTS_VALID).unwrap();
        assert_eq!((valid.status.as_str(), valid.reason.as_str()), ("False", reasons::PRODUCER_FAILED), "{resource}");
        assert!(valid.message.contains(&Refusal::sentence(&resource)), "{}", valid.message);
        let free =
            |pipeline: &Pipeline| pipeline.status.as_ref().is_some_and(|status| status.active_load_test.is_none());
        namespace.until::<Pipeline>("cifar", "free", free).await;
        refusal.lift().await;
    }
}
