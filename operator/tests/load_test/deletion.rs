//! A LoadTest that is deleted takes everything with it.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, ServiceAccount},
    rbac::v1::{Role, RoleBinding},
};
use kube::{Resource, ResourceExt};
use tailrace_crds::{LoadTest, ProducerReport};

use crate::{
    producers::{load_test, namespace, operator, ready, ready_pipeline, until_started},
    support::Namespace,
};

fn assert_owned<K: Resource<DynamicType = ()>>(objects: &[K], test: &LoadTest) {
    assert!(!objects.is_empty(), "no {}", K::kind(&()));
    for object in objects {
        let owners = object.owner_references();
        assert_eq!(owners.len(), 1, "{} {}", K::kind(&()), object.name_any());
        assert_eq!((owners[0].kind.as_str(), Some(&owners[0].uid)), ("LoadTest", test.metadata.uid.as_ref()));
        assert_eq!(owners[0].controller, Some(true));
    }
}

async fn pods(namespace: &Namespace) -> usize {
    namespace.list::<Pod>().await.len()
}

#[tokio::test]
async fn deleting_a_test_in_flight_removes_its_jobs_pods_reports_and_permissions() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    let test = load_test(&namespace, "short-lived", 2).await;
    for index in 0..2 {
        ready(&namespace, "short-lived", index).await;
    }
    until_started(&namespace, "short-lived").await;
    while pods(&namespace).await < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_owned(&namespace.list::<Job>().await, &test);
    assert_owned(&namespace.list::<ProducerReport>().await, &test);
    assert_owned(&namespace.list::<Role>().await, &test);
    assert_owned(&namespace.list::<RoleBinding>().await, &test);
    assert_owned(&[namespace.get::<ServiceAccount>("short-lived-producer").await], &test);

    namespace.delete::<LoadTest>("short-lived").await;
    for name in ["short-lived-producer-0", "short-lived-producer-1"] {
        namespace.until_gone::<Job>(name).await;
        namespace.until_gone::<ProducerReport>(name).await;
    }
    namespace.until_gone::<Role>("short-lived-producer").await;
    namespace.until_gone::<RoleBinding>("short-lived-producer").await;
    namespace.until_gone::<ServiceAccount>("short-lived-producer").await;
    for _ in 0..100 {
        if pods(&namespace).await == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{} pods are left", pods(&namespace).await);
}

#[tokio::test]
async fn a_test_created_again_under_the_same_name_does_not_find_the_reports_of_the_first() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = operator(&namespace);
    load_test(&namespace, "again", 1).await;
    ready(&namespace, "again", 0).await;
    namespace.delete::<LoadTest>("again").await;
    let second = load_test(&namespace, "again", 1).await;
    let uid = second.metadata.uid.as_deref();
    let of_second =
        |report: &ProducerReport| report.owner_references().iter().any(|owner| Some(owner.uid.as_str()) == uid);
    let report = namespace.until::<ProducerReport>("again-producer-0", "the second test's", of_second).await;
    assert_eq!(report.status.and_then(|status| status.pod_uid), None);
}
