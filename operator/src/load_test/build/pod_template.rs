//! What a LoadTest says of the pods of its producers.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{PodSpec, ResourceRequirements, TopologySpreadConstraint},
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector},
};
use kube::ResourceExt;
use tailrace_crds::{LoadTest, load_test::PodTemplate};

use crate::{labels, quantity};

/// Memory that a producer asks for and may use: CIFAR-10 takes at most 31 MB of it, as raw pixels.
const MEMORY_REQUEST: u64 = 128;
const MEMORY_LIMIT: u64 = 512;
/// CPU that a producer asks for, and so its share of a busy node; it may use more. It needs little, and that in time.
const CPU_REQUEST: &str = "250m";

/// The user's resources, or the defaults; always with a memory limit, by default that of the user's own request. There
/// is no CPU limit of our own: throttling would be measured as latency.
pub fn resources(template: &PodTemplate) -> ResourceRequirements {
    let default = || ResourceRequirements {
        requests: Some(
            [
                ("cpu".to_owned(), Quantity(CPU_REQUEST.into())),
                ("memory".to_owned(), quantity::mebibytes(MEMORY_REQUEST)),
            ]
            .into(),
        ),
        ..ResourceRequirements::default()
    };
    let wanted = template.resources.as_ref();
    let requested = wanted.and_then(|wanted| wanted.requests.as_ref()?.get("memory").cloned());
    let mut resources = wanted.cloned().unwrap_or_else(default);
    let limits = resources.limits.get_or_insert_default();
    limits.entry("memory".into()).or_insert_with(|| requested.unwrap_or(quantity::mebibytes(MEMORY_LIMIT)));
    resources
}

/// A quantity that is none, in a sentence. The API server says so too, but not so that it can be told from a failure of
/// its own.
pub fn why_impossible(load_test: &LoadTest) -> Option<String> {
    let resources = load_test.spec.pod_template.as_ref()?.resources.as_ref()?;
    quantity::check(resources).err().map(|error| format!("spec.podTemplate.resources.{error}"))
}

/// What the images may take, in bytes: half of the memory limit. Kafka's client and the decoder of a large picture need
/// the rest.
pub fn memory_of_images(resources: &ResourceRequirements) -> u64 {
    let limit = resources.limits.as_ref().and_then(|limits| limits.get("memory"));
    // The API server takes no other quantity.
    limit.and_then(|limit| quantity::bytes(limit).ok()).unwrap_or_default() / 2
}

/// Puts the pod where the template says.
pub fn place(pod: &mut PodSpec, load_test: &LoadTest, template: &PodTemplate) {
    let PodTemplate { node_selector, tolerations, topology_spread_constraints, .. } = template;
    pod.node_selector = (!node_selector.is_empty()).then(|| node_selector.clone());
    pod.tolerations = (!tolerations.is_empty()).then(|| tolerations.clone());
    let constraints: Vec<_> =
        topology_spread_constraints.iter().map(|constraint| among_producers(constraint, load_test)).collect();
    pod.topology_spread_constraints = (!constraints.is_empty()).then_some(constraints);
}

/// A constraint without a selector would count no pods at all.
fn among_producers(constraint: &TopologySpreadConstraint, load_test: &LoadTest) -> TopologySpreadConstraint {
    let producers = BTreeMap::from([(labels::LOAD_TEST.to_owned(), load_test.name_any())]);
    let mut constraint = constraint.clone();
    constraint.label_selector.get_or_insert(LabelSelector { match_labels: Some(producers), match_expressions: None });
    constraint
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::load_test::fixtures;

    fn template(of_spec: Value) -> PodTemplate {
        serde_json::from_value(of_spec).unwrap()
    }

    fn resources_of(of_spec: Value) -> Value {
        serde_json::to_value(resources(&template(json!({ "resources": of_spec })))).unwrap()
    }

    #[test]
    fn a_producer_has_a_memory_limit_and_no_cpu_limit_unless_the_user_wants_one() {
        let default = serde_json::to_value(resources(&PodTemplate::default())).unwrap();
        assert_eq!(
            default,
            json!({ "requests": { "cpu": "250m", "memory": "128Mi" }, "limits": { "memory": "512Mi" } })
        );
        assert_eq!(
            resources_of(json!({ "limits": { "cpu": "1" } })),
            json!({ "limits": { "cpu": "1", "memory": "512Mi" } })
        );
        let requested = json!({ "requests": { "memory": "2Gi" } });
        assert_eq!(resources_of(requested)["limits"], json!({ "memory": "2Gi" }));
    }

    #[test]
    fn a_quantity_that_is_none_is_named() {
        let why = |of_spec: Value| {
            let mut load_test = fixtures::load_test("test", 0);
            load_test.spec.pod_template = Some(template(json!({ "resources": of_spec })));
            why_impossible(&load_test)
        };
        let sentence = why(json!({ "requests": { "cpu": "1" }, "limits": { "memory": "much" } })).unwrap();
        assert!(sentence.starts_with("spec.podTemplate.resources.limits.memory is \"much\": write"), "{sentence}");
        assert_eq!(
            why(json!({ "requests": { "cpu": "250m" }, "limits": { "cpu": "900000u", "memory": "1Gi" } })),
            None
        );
    }

    #[test]
    fn images_may_take_half_of_the_memory() {
        assert_eq!(memory_of_images(&resources(&PodTemplate::default())), 256 << 20);
        let more = template(json!({ "resources": { "limits": { "memory": "2Gi" } } }));
        assert_eq!(memory_of_images(&resources(&more)), 1 << 30);
    }

    #[test]
    fn a_pod_is_where_the_template_says_and_spread_among_the_producers_of_its_test() {
        let spec = json!({
            "nodeSelector": { "pool": "load" },
            "tolerations": [{ "key": "load", "operator": "Exists" }],
            "topologySpreadConstraints": [
                { "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule" },
                { "maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
                  "labelSelector": { "matchLabels": { "a": "b" } } },
            ],
        });
        let mut pod = PodSpec::default();
        place(&mut pod, &fixtures::load_test("test", 0), &template(spec));
        assert_eq!(pod.node_selector.unwrap()["pool"], "load");
        assert_eq!(pod.tolerations.unwrap()[0].key.as_deref(), Some("load"));
        let spread = pod.topology_spread_constraints.unwrap();
        let counted = |number: usize| spread[number].label_selector.clone().unwrap().match_labels.unwrap();
        assert_eq!(counted(0), BTreeMap::from([("tailrace.dev/load-test".to_owned(), "test".to_owned())]));
        assert_eq!(counted(1), BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        assert_eq!(spread[1].max_skew, 2);

        let mut pod = PodSpec::default();
        place(&mut pod, &fixtures::load_test("test", 0), &PodTemplate::default());
        assert_eq!(pod, PodSpec::default());
    }
}
