//! `/readyz` says whether the operator can read what it works with.

use std::{net::SocketAddr, time::Duration};

use k8s_openapi::{
    api::core::v1::ServiceAccount, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, PostParams},
};
use tailrace_crds::definitions;

use crate::support::{ApiServer, Namespace, Operator, api_server, get};

async fn until_ready(address: SocketAddr, ready: bool, why: &str) {
    let mut last = (0, String::new());
    for _ in 0..1_200 {
        last = get(address, "/readyz").await;
        if (last.0 == 200) == ready && last.1.contains(why) {
            assert_eq!(get(address, "/livez").await, (200, "ok".to_owned()), "it must not be killed for that");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("/readyz is {last:?}, and not {ready} with {why:?}");
}

#[tokio::test]
async fn an_operator_that_may_not_list_is_not_ready_until_it_may() {
    let namespace = api_server().await.namespace().await;
    namespace.create_yaml::<ServiceAccount>("{apiVersion: v1, kind: ServiceAccount, metadata: {name: operator}}").await;
    let as_operator = api_server().await.as_account(&namespace, "operator").await;
    let (operator, address) = Operator::serving(&as_operator).await;
    until_ready(address, false, "cannot list or watch loadtests: loadtests.tailrace.dev is forbidden: User").await;

    namespace.permit_everything("operator").await;
    until_ready(address, true, "ok").await;

    // Watches that run go on when it is taken away: the API server ends them in minutes. A new operator sees it at
    // once.
    namespace.forbid_everything("operator").await;
    operator.kill().await;
    let (_operator, address) = Operator::serving(&as_operator).await;
    until_ready(address, false, "cannot list or watch pipelines: pipelines.tailrace.dev is forbidden: User").await;
}

#[tokio::test]
async fn a_missing_definition_is_named_until_it_is_installed() {
    let server = ApiServer::start().await;
    let namespace = server.namespace().await;
    let api = Api::<CustomResourceDefinition>::all(namespace.client.clone());
    let missing = "producerreports.tailrace.dev";
    api.delete(missing, &DeleteParams::default()).await.unwrap();
    while api.get_opt(missing).await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_operator, address) = Operator::serving(&namespace).await;
    let why = "cannot list or watch producerreports: the API server does not know them: install";
    until_ready(address, false, why).await;
    let (_, definition) = definitions().into_iter().find(|(name, _)| *name == "producerreports").unwrap();
    api.create(&PostParams::default(), &definition).await.unwrap();
    until_ready(address, true, "ok").await;
}

#[tokio::test]
async fn an_api_server_that_is_away_is_told() {
    // Nobody listens there.
    let config = Config::new("http://127.0.0.1:9".parse().unwrap());
    let client = Client::try_from(config).unwrap();
    let (_operator, address) = Operator::serving(&Namespace { client, name: "default".into() }).await;
    until_ready(address, false, "cannot list or watch pipelines: ").await;
    let (_, why) = get(address, "/readyz").await;
    assert!(why.to_lowercase().contains("refused"), "{why}");
}

#[tokio::test]
async fn an_api_server_that_goes_away_and_comes_back_is_told_and_found_again() {
    let server = ApiServer::start().await;
    let (_operator, address) = Operator::serving(&server.namespace().await).await;
    until_ready(address, true, "ok").await;
    server.stop();
    until_ready(address, false, "cannot list or watch loadtests: ").await;
    server.restart().await;
    until_ready(address, true, "ok").await;
}
