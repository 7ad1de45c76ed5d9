//! How much CPU the producers may use, by their pods and not by what was asked for.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tailrace_measure::validity::CpuLimit;

use super::observation::Observation;
use crate::{
    labels::Component,
    pods::{LIMIT_RANGER, container},
};

/// The limit of the first producer whose pod has one.
pub fn cpu_limit(seen: &Observation) -> Option<CpuLimit> {
    let producers = (0..seen.load_test.spec.producers).filter_map(|index| seen.job(index));
    let mut pods = producers.flat_map(|job| seen.pods_of(job));
    pods.find_map(|pod| limit_of(seen, pod))
}

fn limit_of(seen: &Observation, pod: &Pod) -> Option<CpuLimit> {
    let limits = container(pod, Component::Producer.as_str())?.resources.as_ref()?.limits.as_ref()?;
    let quantity = limits.get("cpu")?.0.clone();
    let template = seen.load_test.spec.pod_template.as_ref().and_then(|template| template.resources.as_ref());
    let own = template.and_then(|resources| resources.limits.as_ref()?.get("cpu"));
    let (origin, remedy) = if own.is_some() {
        ("of spec.podTemplate", "leave resources.limits.cpu out there, or raise it")
    } else if is_of_limit_range(pod) {
        (
            "which a LimitRange of the namespace gives to containers without one",
            "write a higher spec.podTemplate.resources.limits.cpu, or change the LimitRange",
        )
    } else {
        (
            "which something in the cluster has put on the pod",
            "write a higher spec.podTemplate.resources.limits.cpu, or ask the administrator of the cluster",
        )
    };
    Some(CpuLimit { quantity, origin: origin.into(), remedy: remedy.into() })
}

/// The admission plugin says so: `LimitRanger plugin set: cpu request for container a; cpu, memory limit for container
/// a`.
fn is_of_limit_range(pod: &Pod) -> bool {
    let suffix = format!(" limit for container {}", Component::Producer.as_str());
    let set = pod.annotations().get(LIMIT_RANGER).map(String::as_str).unwrap_or_default();
    let set = set.strip_prefix("LimitRanger plugin set:").unwrap_or(set);
    set.split(';')
        .filter_map(|part| part.trim().strip_suffix(&suffix))
        .any(|names| names.split(',').any(|name| name.trim() == "cpu"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::load_test::fixtures::new_test;

    /// The limit of a test with this template, whose first producer's pod has a CPU limit of 60m and this annotation.
    fn origin(template: serde_json::Value, annotation: Option<&str>) -> String {
        let mut seen = new_test().with_pipeline().with_producers().with_pod(0, json!({}));
        seen.load_test.spec.pod_template = serde_json::from_value(template).unwrap();
        let pod = seen.pods.last_mut().unwrap();
        let container = json!({ "name": "producer", "resources": { "limits": { "cpu": "60m" } } });
        pod.spec = serde_json::from_value(json!({ "containers": [{ "name": "proxy" }, container] })).unwrap();
        pod.metadata.annotations = annotation.map(|text| [(LIMIT_RANGER.to_owned(), text.to_owned())].into());
        let limit = cpu_limit(&seen).unwrap();
        assert_eq!(limit.quantity, "60m");
        limit.origin
    }

    #[test]
    fn a_limit_comes_from_the_template_or_a_limit_range_or_something_else() {
        let template = json!({ "resources": { "limits": { "cpu": "60m" } } });
        assert_eq!(origin(template, None), "of spec.podTemplate");
        for by_plugin in ["cpu limit", "cpu, memory limit"] {
            let text = format!(
                "LimitRanger plugin set: cpu request for container producer; {by_plugin} for container producer"
            );
            assert!(origin(json!(null), Some(&text)).contains("LimitRange of the namespace"), "{text}");
        }
        let of_memory =
            "LimitRanger plugin set: cpu request for container producer; memory limit for container producer";
        for annotation in [None, Some(of_memory), Some("LimitRanger plugin set: cpu limit for container proxy")] {
            assert!(origin(json!({}), annotation).contains("something in the cluster"), "{annotation:?}");
        }
    }

    #[test]
    fn pods_without_a_limit_have_none() {
        assert_eq!(cpu_limit(&new_test().with_pipeline().with_producers().with_pod(0, json!({}))), None);
    }
}
