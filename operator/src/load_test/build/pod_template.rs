//! What the pods of the producers of a LoadTest have.

use tailrace_crds::{LoadTest, pod_template::PodTemplate};

use crate::{
    labels::Component,
    pod_template::{self, Defaults},
    quantity,
    settings::Settings,
};

/// What all pods inherit and what the LoadTest says, with complete resources.
pub fn template(load_test: &LoadTest, settings: &Settings) -> PodTemplate {
    let own = load_test.spec.pod_template.clone().unwrap_or_default();
    let mut template = pod_template::inherit(own, &settings.pods);
    let defaults = Defaults::of(Component::Producer);
    template.resources = Some(pod_template::resources(template.resources.as_ref(), &defaults));
    template
}

/// A quantity that is none, in a sentence.
pub fn why_impossible(load_test: &LoadTest) -> Option<String> {
    let resources = load_test.spec.pod_template.as_ref()?.resources.as_ref()?;
    quantity::check(resources).err().map(|error| format!("spec.podTemplate.resources.{error}"))
}

/// What the images may take, in bytes: half of the memory limit. Kafka's client and the decoder of a large picture need
/// the rest.
pub fn memory_of_images(template: &PodTemplate) -> u64 {
    let limits = template.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    // The API server takes no other quantity.
    limits.and_then(|limits| quantity::bytes(limits.get("memory")?).ok()).unwrap_or_default() / 2
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::load_test::fixtures;

    fn with_template(template: Value) -> LoadTest {
        let mut load_test = fixtures::load_test("test", 0);
        load_test.spec.pod_template = Some(serde_json::from_value(template).unwrap());
        load_test
    }

    #[test]
    fn a_quantity_that_is_none_is_named() {
        let why = |resources: Value| why_impossible(&with_template(json!({ "resources": resources })));
        let sentence = why(json!({ "requests": { "cpu": "1" }, "limits": { "memory": "much" } })).unwrap();
        assert!(sentence.starts_with("spec.podTemplate.resources.limits.memory is \"much\": write"), "{sentence}");
        assert_eq!(
            why(json!({ "requests": { "cpu": "250m" }, "limits": { "cpu": "900000u", "memory": "1Gi" } })),
            None
        );
    }

    #[test]
    fn images_may_take_half_of_the_memory() {
        let memory = |load_test: &LoadTest| memory_of_images(&template(load_test, &fixtures::settings()));
        assert_eq!(memory(&fixtures::load_test("test", 0)), 256 << 20);
        let more = with_template(json!({ "resources": { "limits": { "memory": "2Gi" } } }));
        assert_eq!(memory(&more), 1 << 30);
    }
}
