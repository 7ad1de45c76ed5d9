//! What a result was measured with.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::core::v1::{Container, Pod, PodSpec, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt;
use tailrace_crds::load_test::Environment;
use tailrace_measure::producer_result::ProducerResult;

use super::observation::{Observation, pod_is_over};
use crate::{
    labels::{self, Component},
    pods::LIMIT_RANGER,
};

/// What the numbers of `results` were measured with.
pub fn environment(seen: &Observation, results: &[&ProducerResult]) -> Environment {
    let pipeline = seen.pipeline.as_ref().and_then(|pipeline| pipeline.status.as_ref());
    let mut images = pipeline.map(|status| status.images.clone()).unwrap_or_default();
    images.extend(producer_image(seen).map(|image| ("producer".to_owned(), image)));
    let producer_nodes = producer_nodes(seen);
    Environment {
        images,
        resources: resources(seen),
        annotations: annotations(seen),
        model: pipeline.and_then(|status| status.model.clone()),
        shared_nodes: shared_nodes(seen, &producer_nodes),
        producer_nodes,
        client_settings: results.first().map(|result| result.client_settings.clone()).unwrap_or_default(),
    }
}

fn producer_image(seen: &Observation) -> Option<String> {
    let pod = seen.job(0)?.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers.first()?.image.clone()
}

fn producer_nodes(seen: &Observation) -> Vec<String> {
    let mut reports: Vec<_> = seen.reports.iter().collect();
    reports.sort_by_key(|report| report.spec.index);
    reports.into_iter().filter_map(|report| report.status.as_ref()?.node.clone()).collect()
}

/// Pods that have ended, such as that of the check, take nothing from the producers.
fn shared_nodes(seen: &Observation, producer_nodes: &[String]) -> Vec<String> {
    let of_pipeline: BTreeSet<_> = seen
        .pods_of_pipeline()
        .filter(|pod| !pod_is_over(pod))
        .filter_map(|pod| pod.spec.as_ref()?.node_name.clone())
        .collect();
    of_pipeline.into_iter().filter(|node| producer_nodes.contains(node)).collect()
}

/// The pods that were measured with, by component; those of the check and the like have ended.
fn pods(seen: &Observation) -> Vec<(String, &Pod)> {
    let running = seen.pods_of_pipeline().filter(|pod| !pod_is_over(pod));
    let of_pipeline = running.filter_map(|pod| Some((pod.labels().get(labels::COMPONENT)?.clone(), pod)));
    let producers = (0..seen.load_test.spec.producers).filter_map(|index| seen.job(index));
    let producers = producers.flat_map(|job| seen.pods_of(job));
    of_pipeline.chain(producers.map(|pod| (Component::Producer.as_str().to_owned(), pod))).collect()
}

/// The requests and limits of the pods, by component; of pods that are gone, what they were to have.
fn resources(seen: &Observation) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (component, pod) in pods(seen) {
        for (name, resources) in pod.spec.iter().flat_map(containers) {
            let name = if name == component { name.to_owned() } else { format!("{component}/{name}") };
            found.entry(name).or_default().insert(resources);
        }
    }
    let job = seen.job(0).and_then(|job| job.spec.as_ref()?.template.spec.as_ref());
    for (name, resources) in job.into_iter().flat_map(containers) {
        found.entry(name.to_owned()).or_insert_with(|| [resources].into());
    }
    found.into_iter().map(|(name, different)| (name, different.into_iter().collect::<Vec<_>>().join("; "))).collect()
}

/// The containers of a pod that run as long as it does, and what each has. Whoever has added one, such as a mesh, has
/// changed what is measured.
fn containers(spec: &PodSpec) -> impl Iterator<Item = (&str, String)> {
    let beside = spec.init_containers.iter().flatten();
    let beside = beside.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    spec.containers.iter().chain(beside).map(|container| (container.name.as_str(), resources_of(container)))
}

/// What others have said to the pods, by component.
fn annotations(seen: &Observation) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (component, pod) in pods(seen) {
        let telling = pod.annotations().iter().filter(|(key, _)| is_telling(key));
        for (key, value) in telling.take(MOST_ANNOTATIONS) {
            let value = value.chars().take(LONGEST_ANNOTATION).collect();
            found.entry(component.clone()).or_default().insert(key.clone(), value);
        }
    }
    found
}

/// Bounds of what one result holds.
const MOST_ANNOTATIONS: usize = 8;
const LONGEST_ANNOTATION: usize = 256;

/// Whether the annotation says something about the measurement: that a LimitRange has changed a pod, or that a mesh is
/// to carry its traffic or not.
fn is_telling(key: &str) -> bool {
    const MESHES: [&str; 4] = ["istio.io", "linkerd.io", "kuma.io", "consul.hashicorp.com"];
    // What a mesh notes about each pod is different for each.
    let noted = key.ends_with("/status");
    let domain = key.split('/').next().unwrap_or_default();
    let of_mesh = MESHES.into_iter().any(|mesh| domain == mesh || domain.ends_with(&format!(".{mesh}")));
    key == LIMIT_RANGER || (of_mesh && !noted)
}

/// Such as `cpu 250m.., memory 128Mi..512Mi`.
fn resources_of(container: &Container) -> String {
    let Some(ResourceRequirements { requests, limits, .. }) = &container.resources else { return NOTHING.into() };
    let of = |name: &str| {
        let quantity =
            |list: &Option<BTreeMap<_, _>>| list.as_ref()?.get(name).map(|quantity: &Quantity| quantity.0.clone());
        match (quantity(requests), quantity(limits)) {
            (Some(request), Some(limit)) if request == limit => Some(format!("{name} {limit}")),
            (request, Some(limit)) => Some(format!("{name} {}..{limit}", request.unwrap_or_default())),
            (Some(request), None) => Some(format!("{name} {request}..")),
            (None, None) => None,
        }
    };
    let parts: Vec<_> = ["cpu", "memory"].into_iter().filter_map(of).collect();
    if parts.is_empty() { NOTHING.into() } else { parts.join(", ") }
}

/// Of a container without requests and limits.
const NOTHING: &str = "no requests, no limits";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::load_test::fixtures::new_test;

    #[test]
    fn a_node_is_shared_if_a_producer_and_a_running_pod_of_the_pipeline_are_on_it() {
        let mut seen = new_test().with_pipeline().with_producers();
        for (index, node) in ["node1", "node2"].into_iter().enumerate() {
            seen.report_mut(index).status.get_or_insert_default().node = Some(node.into());
        }
        for (node, phase) in [("node0", "Running"), ("node1", "Succeeded"), ("node2", "Running")] {
            let pod = json!({ "spec": { "containers": [], "nodeName": node }, "status": { "phase": phase } });
            seen = seen.with_pod_of_pipeline(pod);
        }
        let stranger = json!({
            "metadata": { "labels": { "tailrace.dev/pipeline": "cifar" } },
            "spec": { "containers": [], "nodeName": "node1" }, "status": { "phase": "Running" },
        });
        seen.pods.push(serde_json::from_value(stranger).unwrap());
        let environment = environment(&seen, &[]);
        assert_eq!(environment.producer_nodes, ["node1", "node2"]);
        assert_eq!(environment.shared_nodes, ["node2"]);
        assert_eq!(environment.images["producer"], "worker:1");
    }

    #[test]
    fn of_producers_that_are_gone_it_has_what_they_were_to_have() {
        let seen = new_test().with_pipeline().with_producers();
        assert_eq!(environment(&seen, &[]).resources["producer"], "cpu 100m.., memory 128Mi..512Mi");
    }

    #[test]
    fn it_has_what_the_pods_really_have() {
        let mut seen = new_test().with_pipeline().with_producers();
        let resources = json!({ "requests": { "cpu": "50m", "memory": "128Mi" }, "limits": { "cpu": "60m" } });
        for index in 0..2 {
            seen = seen.with_pod(index, json!({ "phase": "Running" }));
            let pod = seen.pods.last_mut().unwrap();
            let containers = [json!({ "name": "producer", "resources": resources }), json!({ "name": "istio-proxy" })];
            pod.spec = serde_json::from_value(json!({ "containers": containers })).unwrap();
            let annotations = json!({
                LIMIT_RANGER: "LimitRanger plugin set: cpu limit for container producer",
                "sidecar.istio.io/inject": "true", "sidecar.istio.io/status": "{}", "cni/ip": "10.0.0.7",
            });
            pod.metadata.annotations = serde_json::from_value(annotations).unwrap();
        }
        let environment = environment(&seen, &[]);
        assert_eq!(environment.resources["producer"], "cpu 50m..60m, memory 128Mi..");
        assert_eq!(environment.resources["producer/istio-proxy"], "no requests, no limits");
        let annotations: Vec<_> = environment.annotations["producer"].keys().collect();
        assert_eq!(annotations, [LIMIT_RANGER, "sidecar.istio.io/inject"]);
    }

    #[test]
    fn pods_of_one_part_that_differ_are_all_there() {
        let mut seen = new_test().with_pipeline().with_producers();
        for (index, cpu) in ["1", "2"].into_iter().enumerate() {
            seen = seen.with_pod(index, json!({ "phase": "Running" }));
            let container = json!({ "name": "producer", "resources": { "limits": { "cpu": cpu } } });
            seen.pods.last_mut().unwrap().spec = serde_json::from_value(json!({ "containers": [container] })).unwrap();
        }
        assert_eq!(environment(&seen, &[]).resources["producer"], "cpu ..1; cpu ..2");
    }
}
