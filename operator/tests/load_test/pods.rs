//! The pods of the producers: what they are given, and what becomes of a test whose pods cannot be.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Container, PodSpec},
};
use tailrace_crds::{
    LoadTest, Pipeline,
    conditions::{reasons, types},
    load_test::Phase,
};
use tailrace_operator::conditions::find;

use crate::{
    producers::{namespace, operator, ready_pipeline, until_finished, yaml},
    support::Namespace,
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
    assert_eq!(resources.requests.as_ref().unwrap()["cpu"].0, "250m");
    assert_eq!(variables(&pod.containers[0])["TAILRACE_DATASET_LIMIT"], (256 << 20).to_string());
}

#[tokio::test]
async fn a_template_says_where_producers_run_and_with_how_much() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    let template = "{resources: {requests: {cpu: '1', memory: 256Mi}, limits: {cpu: '2', memory: 1Gi}}, \
        nodeSelector: {pool: load}, tolerations: [{key: load, operator: Exists, effect: NoSchedule}], \
        topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule}]}";
    created(&namespace, "placed", &format!(", podTemplate: {template}")).await;
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
    assert!(pod.affinity.unwrap().pod_anti_affinity.is_some(), "away from the Pipeline, as without a template");
}

#[tokio::test]
async fn a_test_whose_pods_the_api_server_refuses_ends_with_its_sentence() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    for (name, template, sentence) in [
        ("effect", "{tolerations: [{operator: Exists, effect: Sometimes}]}", "Sometimes"),
        ("more", "{resources: {requests: {memory: 1Gi}, limits: {memory: 64Mi}}}", "memory limit"),
        ("size", "{resources: {limits: {memory: much}}}", "limits.memory is \"much\": write a number with a unit"),
    ] {
        created(&namespace, name, &format!(", podTemplate: {template}")).await;
        let status = until_finished(&namespace, name).await.status.unwrap();
        assert_eq!(status.phase, Phase::Failed, "{name}");
        let valid = find(&status.conditions, types::RESULTS_VALID).unwrap();
        assert_eq!((valid.status.as_str(), valid.reason.as_str()), ("False", reasons::PRODUCER_FAILED), "{name}");
        assert!(valid.message.contains(sentence), "{name}: {}", valid.message);
        let free =
            |pipeline: &Pipeline| pipeline.status.as_ref().is_some_and(|status| status.active_load_test.is_none());
        namespace.until::<Pipeline>("cifar", "free", free).await;
    }
}
