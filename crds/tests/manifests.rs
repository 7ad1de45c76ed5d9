//! The committed manifests are what the types say.

use std::{fs, path::Path};

#[test]
fn the_manifests_are_generated_from_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    for (name, definition) in tailrace_crds::definitions() {
        let committed = fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        let generated = serde_yaml_ng::to_string(&definition).unwrap();
        assert_eq!(committed, generated, "run `cargo run -p tailrace-crds --bin crdgen` and commit crds/manifests");
    }
}
