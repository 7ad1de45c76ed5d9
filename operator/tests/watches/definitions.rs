//! The definitions of the custom resources, as this test binary changes them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tailrace_crds::definitions;
use tokio::sync::OnceCell;

use crate::support::{Namespace, api_server};

/// The plural names.
pub const ALL: [&str; 4] = ["pipelines", "loadtests", "experiments", "producerreports"];

/// A new namespace of the server that the tests of this binary share, whose definitions refuse nothing.
pub async fn namespace() -> Namespace {
    static LOOSE: OnceCell<()> = OnceCell::const_new();
    let server = api_server().await;
    let client = server.client().await;
    LOOSE
        .get_or_init(|| async {
            for plural in ALL {
                loosen(&client, plural).await;
            }
        })
        .await;
    let namespace = server.namespace().await;
    for plural in ALL {
        until_loose(&namespace, plural).await;
    }
    namespace
}

/// Makes the API server take anything for objects of that kind.
pub async fn loosen(client: &Client, plural: &str) {
    let schema = json!({
        "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    });
    replace_schema(client, plural, schema).await;
}

/// Makes the API server check objects of that kind by the definition of now, as an upgrade does.
pub async fn tighten(namespace: &Namespace, plural: &str) {
    let (_, definition) = definitions().into_iter().find(|(name, _)| *name == plural).unwrap();
    let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
    replace_schema(&namespace.client, plural, schema).await;
    for _ in 0..200 {
        if !is_loose(namespace, plural).await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{plural} are not checked");
}

async fn replace_schema(client: &Client, plural: &str, schema: Value) {
    let change = json!([{ "op": "replace", "path": "/spec/versions/0/schema", "value": schema }]);
    let change = Patch::Json::<()>(serde_json::from_value(change).unwrap());
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    definitions.patch(&format!("{plural}.tailrace.dev"), &PatchParams::default(), &change).await.unwrap();
}

/// The API server needs a moment to take a definition over.
pub async fn until_loose(namespace: &Namespace, plural: &str) {
    for _ in 0..200 {
        if is_loose(namespace, plural).await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{plural} are still checked");
}

async fn is_loose(namespace: &Namespace, plural: &str) -> bool {
    let kind = kube::api::ApiResource {
        group: "tailrace.dev".into(),
        version: "v1alpha1".into(),
        api_version: "tailrace.dev/v1alpha1".into(),
        kind: match plural {
            "pipelines" => "Pipeline",
            "loadtests" => "LoadTest",
            "experiments" => "Experiment",
            _ => "ProducerReport",
        }
        .into(),
        plural: plural.into(),
    };
    let api: Api<kube::api::DynamicObject> = Api::namespaced_with(namespace.client.clone(), &namespace.name, &kind);
    let mut anything = kube::api::DynamicObject::new("anything", &kind);
    anything.data = json!({ "spec": { "anything": true } });
    let parameters = kube::api::PostParams { dry_run: true, ..Default::default() };
    api.create(&parameters, &anything).await.is_ok_and(|made| made.data["spec"]["anything"] == true)
}
