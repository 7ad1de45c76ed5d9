//! Helm's own commands against a real API server: two releases beside each other, one taken away and installed again
//! under another name; and kubectl where other products have kinds of the same names.

use std::{fs, path::Path, process::Command};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
    runtime::{conditions, wait::await_condition},
};
use serde_json::json;
use tailrace_crds::Pipeline;

use crate::support::{ApiServer, program};

/// A cluster in which nothing of Tailrace is installed, unless a test does it.
struct Cluster {
    server: ApiServer,
    client: Client,
    folder: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let server = ApiServer::start().await;
        let client = server.client().await;
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = serde_yaml_ng::to_string(server.kubeconfig()).unwrap();
        fs::write(folder.path().join("kubeconfig"), kubeconfig).unwrap();
        Self { server, client, folder }
    }

    /// Runs `helm` or `kubectl`: what it prints, or else the error that it prints.
    fn run(&self, name: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(program(name));
        command.env("KUBECONFIG", self.folder.path().join("kubeconfig")).env("HOME", self.folder.path());
        let output = command.args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn install(&self, release: &str, namespace: &str, further: &[&str]) -> Result<String, String> {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/tailrace");
        let mut arguments = vec!["install", release, chart.to_str().unwrap()];
        arguments.extend(["--namespace", namespace, "--create-namespace"]);
        arguments.extend(further);
        self.run("helm", &arguments)
    }

    fn definitions(&self) -> Api<CustomResourceDefinition> {
        Api::all(self.client.clone())
    }

    /// The releases to which Tailrace's definitions belong.
    async fn owners_of_definitions(&self) -> Vec<String> {
        let all = self.definitions().list(&ListParams::default()).await.unwrap();
        let ours = all.items.into_iter().filter(|definition| definition.spec.group == "tailrace.dev");
        ours.map(|definition| {
            let annotations = definition.metadata.annotations.unwrap_or_default();
            annotations.get("meta.helm.sh/release-name").cloned().unwrap_or_default()
        })
        .collect()
    }

    /// The fixture installs the definitions without Helm.
    async fn without_definitions(self) -> Self {
        let (delete, all) = (DeleteParams::default(), ListParams::default());
        self.definitions().delete_collection(&delete, &all).await.unwrap();
        while !self.definitions().list(&all).await.unwrap().items.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        self
    }
}

#[tokio::test]
async fn a_release_is_installed_beside_another_and_again_under_another_name() {
    let cluster = Cluster::start().await.without_definitions().await;
    cluster.install("tailrace", "tailrace-system", &[]).unwrap();
    assert_eq!(cluster.owners_of_definitions().await, ["tailrace"; 4]);

    let for_team_b = ["--set", "watchNamespace=team-b"];
    let refused = cluster.install("vision", "team-b", &for_team_b).unwrap_err();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    let leaves_definitions = [for_team_b.as_slice(), &["--set", "crds.install=false"]].concat();
    cluster.install("vision", "team-b", &leaves_definitions).unwrap();
    // One of the same name in another namespace, and one beside the first.
    let for_team_c = ["--set", "watchNamespace=team-c", "--set", "crds.install=false"];
    cluster.install("tailrace", "team-c", &for_team_c).unwrap();
    cluster.install("team-c", "tailrace-system", &for_team_c).unwrap();
    assert_eq!(cluster.owners_of_definitions().await, ["tailrace"; 4]);

    let pipelines: Api<Pipeline> = Api::namespaced(cluster.client.clone(), "team-b");
    let pipeline = serde_json::from_value(json!({"metadata": {"name": "cifar"}, "spec": {}})).unwrap();
    pipelines.create(&PostParams::default(), &pipeline).await.unwrap();
    cluster.run("helm", &["uninstall", "tailrace", "--namespace", "tailrace-system"]).unwrap();
    assert!(pipelines.get("cifar").await.is_ok(), "what users made survives the release");

    let refused = cluster.install("measuring", "measuring", &[]).unwrap_err();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    cluster.install("measuring", "measuring", &["--take-ownership"]).unwrap();
    assert_eq!(cluster.owners_of_definitions().await, ["measuring"; 4]);
    assert!(pipelines.get("cifar").await.is_ok(), "what users made survives the new release");
}

/// A definition of another product that has all names of ours that it can have.
fn of_another_product(group: &str, plural: &str, kind: &str) -> CustomResourceDefinition {
    let singular = kind.to_lowercase();
    serde_json::from_value(json!({
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": plural, "singular": singular, "kind": kind, "listKind": format!("{kind}List")},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    }))
    .unwrap()
}

/// One of each kind that users make.
const OURS: &str = "
{apiVersion: tailrace.dev/v1alpha1, kind: Pipeline, metadata: {name: ours}, spec: {}}
---
{apiVersion: tailrace.dev/v1alpha1, kind: LoadTest, metadata: {name: ours},
 spec: {pipelineRef: {name: ours}, producers: 1, load: {closed: {}}}}
---
{apiVersion: tailrace.dev/v1alpha1, kind: Experiment, metadata: {name: ours},
 spec: {sweep: {producers: [1]}, template: {pipelineRef: {name: ours}, load: {closed: {}}}}}
";

#[tokio::test]
async fn names_in_documents_and_hints_mean_ours_beside_other_products() {
    let cluster = Cluster::start().await;
    // Of groups that come before tailrace.dev and behind it in the alphabet.
    for (group, plural, kind) in [
        ("a.example", "pipelines", "Pipeline"),
        ("tekton.dev", "pipelines", "Pipeline"),
        ("a.example", "loadtests", "LoadTest"),
        ("a.example", "experiments", "Experiment"),
    ] {
        let definition = of_another_product(group, plural, kind);
        cluster.definitions().create(&PostParams::default(), &definition).await.unwrap();
        let name = format!("{plural}.{group}");
        await_condition(cluster.definitions(), &name, conditions::is_crd_established()).await.unwrap();
    }
    let namespace = cluster.server.namespace().await.name;
    let file = cluster.folder.path().join("ours.yaml");
    fs::write(&file, OURS).unwrap();
    cluster.run("kubectl", &["apply", "--namespace", &namespace, "--filename", file.to_str().unwrap()]).unwrap();

    for name in ["trp", "trl", "tre", "pipelines.tailrace.dev", "loadtests.tailrace.dev", "experiments.tailrace.dev"] {
        let found = cluster.run("kubectl", &["get", name, "--namespace", &namespace, "--output", "name"]);
        let found = found.unwrap_or_else(|refused| panic!("{name}: {refused}"));
        assert!(found.contains(".tailrace.dev/ours"), "{name} is {found}");
    }
}
