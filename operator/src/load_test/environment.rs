//! What a result was measured with.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::core::v1::{PodSpec, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt;
use tailrace_crds::{load_test::Environment, producer_report::ProducerResult};

use super::observation::{Observation, is_producer, pod_is_over};
use crate::labels;

/// What the numbers of `results` were measured with.
pub fn environment(seen: &Observation, results: &[&ProducerResult]) -> Environment {
    let pipeline = seen.pipeline.as_ref().and_then(|pipeline| pipeline.status.as_ref());
    let mut images = pipeline.map(|status| status.images.clone()).unwrap_or_default();
    images.extend(producer_image(seen).map(|image| ("producer".to_owned(), image)));
    let producer_nodes = producer_nodes(seen);
    Environment {
        images,
        resources: resources(seen),
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
        .pods
        .iter()
        .filter(|pod| !is_producer(pod) && !pod_is_over(pod))
        .filter_map(|pod| pod.spec.as_ref()?.node_name.clone())
        .collect();
    of_pipeline.into_iter().filter(|node| producer_nodes.contains(node)).collect()
}

/// The requests and limits of the pods, by component.
fn resources(seen: &Observation) -> BTreeMap<String, String> {
    let running = seen.pods.iter().filter(|pod| !is_producer(pod) && !pod_is_over(pod));
    let of_pipeline =
        running.filter_map(|pod| Some((pod.labels().get(labels::COMPONENT)?.clone(), pod.spec.as_ref()?)));
    let job = seen.job(0).and_then(|job| job.spec.as_ref()?.template.spec.as_ref());
    let of_producers = job.map(|spec| ("producer".to_owned(), spec));
    let all = of_pipeline.chain(of_producers);
    all.filter_map(|(component, spec)| Some((component, resources_of(spec)?))).collect()
}

fn resources_of(spec: &PodSpec) -> Option<String> {
    let resources = spec.containers.first()?.resources.as_ref()?;
    let of = |name: &str| {
        let ResourceRequirements { requests, limits, .. } = resources;
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
    (!parts.is_empty()).then(|| parts.join(", "))
}

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
            let pod =
                json!({ "metadata": {}, "spec": { "containers": [], "nodeName": node }, "status": { "phase": phase } });
            seen.pods.push(serde_json::from_value(pod).unwrap());
        }
        let environment = environment(&seen, &[]);
        assert_eq!(environment.producer_nodes, ["node1", "node2"]);
        assert_eq!(environment.shared_nodes, ["node2"]);
        assert_eq!(environment.images["producer"], "worker:1");
    }

    #[test]
    fn requests_and_limits_are_a_part_of_it() {
        let seen = new_test().with_pipeline().with_producers();
        assert_eq!(environment(&seen, &[]).resources["producer"], "cpu 250m.., memory 128Mi..512Mi");
    }
}
