//! The Experiments in `examples/` and in the README are what the API server takes.

use std::{fs, path::Path};

use tailrace_crds::Experiment;

use crate::producers::namespace;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
}

#[tokio::test]
async fn the_api_server_takes_the_examples() {
    let namespace = namespace().await;
    namespace.create_yaml::<Experiment>(&file("examples/experiment.yaml")).await;
    namespace.create_yaml::<Experiment>(&file("examples/max-rate.yaml")).await;
    let readme = file("README.md");
    let of_readme = readme.split("```yaml\n").find(|block| block.contains("kind: Experiment")).unwrap();
    let of_readme = of_readme.split("```").next().unwrap().replace("name: max-rate", "name: readme");
    namespace.create_yaml::<Experiment>(&of_readme).await;
}
