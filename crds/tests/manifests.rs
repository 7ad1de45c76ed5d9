//! The committed manifests are what the types say.

use std::{fs, path::Path};

use serde_json::Value;

#[test]
fn the_manifests_are_generated_from_the_types() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in tailrace_crds::MANIFEST_FOLDERS {
        for (name, definition) in tailrace_crds::definitions() {
            let file = format!("{folder}/{name}.yaml");
            let committed = fs::read_to_string(repository.join(&file)).unwrap();
            let generated = serde_yaml_ng::to_string(&definition).unwrap();
            assert_eq!(
                committed, generated,
                "{file}: run `cargo run --release -p tailrace-crds --bin crdgen` and commit it"
            );
        }
    }
}

/// `kubectl apply` keeps what it has applied in an annotation, and all annotations of an object together have this limit.
#[test]
fn each_definition_fits_into_an_annotation() {
    const LIMIT: usize = 256 << 10;
    const LEFT_FOR_OTHERS: usize = 32 << 10;
    for (name, definition) in tailrace_crds::definitions() {
        let size = serde_json::to_string(&definition).unwrap().len();
        assert!(size < LIMIT - LEFT_FOR_OTHERS, "{name} has {size} bytes: kubectl apply would refuse it");
    }
}

/// What `kubectl explain` shows. Kubernetes' own types have none: `kubectl explain pod.spec` describes them.
#[test]
fn every_field_is_described_with_its_default() {
    let mut lacking = vec![];
    for (kind, definition) in tailrace_crds::definitions() {
        let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
        describe(&schema["openAPIV3Schema"]["properties"]["spec"], kind, &mut lacking);
    }
    assert!(lacking.is_empty(), "{lacking:#?}");
}

fn describe(schema: &Value, path: &str, lacking: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let description = field["description"].as_str().unwrap_or_default().replace('\n', " ");
        if description.is_empty() {
            lacking.push(format!("{path} has no description"));
        } else if !field["default"].is_null() && field["type"] != "object" && !description.contains("efaults to") {
            lacking.push(format!("{path} does not say that it defaults to {}", field["default"]));
        }
        if !["podTemplate", "resources", "tolerations"].contains(&name.as_str()) {
            describe(field, &path, lacking);
        }
    }
    if schema["items"].is_object() {
        describe(&schema["items"], &format!("{path}[]"), lacking);
    }
}
