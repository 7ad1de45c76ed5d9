//! The committed manifests are what the types say.

use std::{fs, path::Path};

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
    const LEFT_FOR_OTHERS: usize = 64 << 10;
    for (name, definition) in tailrace_crds::definitions() {
        let size = serde_json::to_string(&definition).unwrap().len();
        assert!(size < LIMIT - LEFT_FOR_OTHERS, "{name} has {size} bytes: kubectl apply would refuse it");
    }
}
