//! An operator of a newer version, which asks for more than the objects have that are stored.

use k8s_openapi::{
    api::batch::v1::Job, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tailrace_crds::{LoadTest, definitions};
use tailrace_operator::load_test;

use crate::{
    definitions::{loosen, until_loose},
    support::{ApiServer, Operator},
    unreadable::{a_test, create, ready_pipeline},
};

#[tokio::test]
async fn an_upgrade_that_adds_a_required_field_stops_only_what_lacks_it() {
    let server = ApiServer::start().await;
    let namespace = server.namespace().await;
    ready_pipeline(&namespace).await;
    // The definition of before: `load` was not asked for.
    loosen(&namespace.client, "loadtests").await;
    until_loose(&namespace, "loadtests").await;
    create::<LoadTest>(&namespace, "old", json!({ "pipelineRef": { "name": "cifar" } })).await;
    create::<LoadTest>(&namespace, "complete", a_test("0s")).await;

    // The upgrade: the definition of now, and the operator that reads `load`.
    let api = Api::<CustomResourceDefinition>::all(namespace.client.clone());
    let (_, definition) = definitions().into_iter().find(|(name, _)| *name == "loadtests").unwrap();
    let schema =
        json!([{ "op": "replace", "path": "/spec/versions/0/schema", "value": definition.spec.versions[0].schema }]);
    let upgrade = Patch::Json::<()>(serde_json::from_value(schema).unwrap());
    api.patch("loadtests.tailrace.dev", &PatchParams::default(), &upgrade).await.unwrap();
    let _operator = Operator::start(&namespace, load_test::controller);

    namespace.until::<Job>("complete-producer-0", "there", |_| true).await;
    namespace.until_event("old", "Warning Unreadable: spec: missing field `load`").await;
}
