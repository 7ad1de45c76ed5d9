//! `/readyz` says whether the operator can read what it works with.

use std::{net::SocketAddr, time::Duration};

use k8s_openapi::{
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::ServiceAccount,
        rbac::v1::{Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
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
    let account: Api<ServiceAccount> = namespace.api();
    namespace.create_yaml::<ServiceAccount>("{apiVersion: v1, kind: ServiceAccount, metadata: {name: operator}}").await;
    let wanted = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
    let token = account.create_token_request("operator", &PostParams::default(), &wanted).await.unwrap();
    let client = api_server().await.client_with_token(token.status.unwrap().token).await;
    let (_operator, address) = Operator::serving(&Namespace { client, ..namespace.clone() }).await;
    until_ready(address, false, "cannot list or watch loadtests: loadtests.tailrace.dev is forbidden: User").await;

    let role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: operator},
        rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]}";
    namespace.create_yaml::<Role>(role).await;
    let binding = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: operator}},
          roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: operator}},
          subjects: [{{kind: ServiceAccount, name: operator, namespace: {}}}]}}",
        namespace.name
    );
    namespace.create_yaml::<RoleBinding>(&binding).await;
    until_ready(address, true, "ok").await;

    // It may be taken away again: watches that run are ended by the API server in minutes, a new operator sees it at once.
    namespace.api::<RoleBinding>().delete("operator", &DeleteParams::default()).await.unwrap();
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
