//! What is kept is what was read.

use k8s_openapi::api::{
    apps::v1::ReplicaSet,
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use tailrace_crds::LoadTest;

use super::*;
use crate::{
    experiment::fixtures as experiments,
    load_test::fixtures::{begin, load_test, new_test, pipeline, settings},
    pipeline::{build, validate::validate},
    pod_template::sample::{pod_templates, sample, write},
    watch::{facts, slim},
};

fn stays_the_same<K: Watched + PartialEq>(object: &K) {
    let packed = Packed::new(object, Facts::default()).unwrap();
    assert_eq!(packed.unpack().as_deref(), Some(object));
}

fn read<K: Watched + PartialEq>(object: Value) {
    stays_the_same(&serde_json::from_value::<K>(object).unwrap());
}

#[test]
fn pipelines_with_every_field_of_pod_templates_and_what_is_made_for_them_are_unpacked_as_they_were_packed() {
    for (topology, left_out) in [("Fused", "serviceAccountName"), ("Split", "serviceAccountAnnotations")] {
        let mut spec = json!({ "inference": { "topology": topology } });
        for (path, schema) in pod_templates("pipelines") {
            let mut template = sample(&schema, "mark");
            template.as_object_mut().unwrap().remove(left_out);
            write(&mut spec, &path, template);
        }
        let mut pipeline = pipeline();
        pipeline.spec = serde_json::from_value(spec).unwrap();
        stays_the_same(&pipeline);
        let made = build::build(&validate(&pipeline, &settings()).unwrap(), &settings().images);
        made.services.iter().for_each(stays_the_same);
        made.network_policies.iter().for_each(stays_the_same);
        made.permissions.accounts.iter().for_each(stays_the_same);
        stays_the_same(&made.permissions.role);
        stays_the_same(&made.permissions.binding);
        made.claims.iter().for_each(|(_, claim)| stays_the_same(claim));
        [made.kafka, made.database].iter().flatten().for_each(stays_the_same);
        made.inference.iter().map(|(_, deployment)| deployment).chain(&made.archive).for_each(stays_the_same);
        [made.topics, made.check].iter().for_each(stays_the_same);
    }
}

#[test]
fn custom_resources_are_unpacked_as_they_were_packed_also_once_they_are_slim() {
    let ended = experiments::End::P95(5_000);
    let mut over = load_test("over", 1);
    over.status = Some(experiments::ended(&ended, begin()));
    stays_the_same(&over);
    slim::load_test(&mut over);
    stays_the_same(&over);
    let mut seen = new_test().with_pipeline().with_producers().with_ready(0).with_result(0, 10);
    stays_the_same(seen.report_mut(0));
    slim::report(seen.report_mut(0));
    stays_the_same(seen.report_mut(0));
    for experiment in [experiments::sweep(&[1, 2], 2), experiments::max_rate(1, 100)] {
        stays_the_same(&experiment);
    }
}

#[test]
fn what_controllers_of_kubernetes_make_is_unpacked_as_it_was_packed() {
    let metadata = json!({
        "name": "cifar-kafka-0", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["kubernetes.io/pvc-protection"], "annotations": { "\"\u{7}ä": "\n" },
        "ownerReferences": [{ "apiVersion": "v1", "kind": "A", "name": "b", "uid": "c", "controller": true }],
    });
    let ended = json!({ "exitCode": -1, "message": "line\nline", "finishedAt": "2026-01-01T00:00:00Z" });
    let container = json!({
        "name": "a", "image": "b", "imageID": "c", "ready": false, "restartCount": 2, "started": true,
        "state": { "terminated": ended }, "lastState": { "waiting": { "reason": "CrashLoopBackOff" } },
    });
    let probe = json!({ "httpGet": { "path": "/", "port": "http" } });
    let resources = json!({ "limits": { "cpu": "0.50", "memory": "1024Mi" } });
    let spec = json!({ "nodeName": "node-1", "containers": [
        { "name": "a", "resources": resources, "livenessProbe": probe, "env": [{ "name": "B", "value": "" }] },
    ] });
    read::<Pod>(json!({ "metadata": metadata, "spec": spec, "status": { "containerStatuses": [container] } }));
    read::<ReplicaSet>(json!({ "metadata": metadata }));
    let status = json!({ "phase": "Bound", "capacity": { "storage": "1Gi" } });
    read::<PersistentVolumeClaim>(json!({ "metadata": metadata, "spec": { "volumeName": "v" }, "status": status }));
}

fn packed(test: &LoadTest) -> Arc<Packed<LoadTest>> {
    Arc::new(Packed::new(test, facts::load_test(test)).unwrap())
}

fn holding(names: &[&str]) -> Objects<LoadTest> {
    let objects = Objects::default();
    for test in names.iter().map(|name| load_test(name, 1)) {
        objects.insert(test.meta(), packed(&test));
    }
    objects
}

fn names(objects: &[Arc<Packed<LoadTest>>]) -> Vec<String> {
    let mut names: Vec<_> = objects.iter().map(|object| object.unpack().unwrap().name_any()).collect();
    names.sort();
    names
}

#[test]
fn objects_are_found_in_their_namespace_by_name_and_facts() {
    let objects = holding(&["a", "b"]);
    let mut over = load_test("over", 1);
    over.status = Some(experiments::ended(&experiments::End::Missed, begin()));
    objects.insert(over.meta(), packed(&over));
    let mut elsewhere = load_test("a", 1);
    elsewhere.metadata.namespace = Some("elsewhere".into());
    objects.insert(elsewhere.meta(), packed(&elsewhere));

    assert_eq!(names(&objects.of_namespace("default", |_, test| !test.over)), ["a", "b"]);
    assert_eq!(names(&objects.of_namespace("default", |name, _| name != "a")), ["b", "over"]);
    assert!(objects.of_namespace("default", |_, test| test.is_of("other")).is_empty());
    assert_eq!(objects.all(|test| test.is_of("cifar")).len(), 4);
    objects.remove("elsewhere", "a");
    assert!(objects.get("elsewhere", "a").is_none());
    assert!(objects.get("default", "a").is_some());
}

#[test]
fn what_a_new_list_lacks_is_gone() {
    let objects = holding(&["a", "b", "c"]);
    assert_eq!(names(&objects.replace(holding(&["b", "d"]))), ["a", "c"]);
    assert_eq!(names(&objects.of_namespace("default", |_, _| true)), ["b", "d"]);
}
