//! Names that are somebody else's: nothing is seized, nothing is lost, and the condition says what is in the way.

use futures::future::join_all;
use kube::{ResourceExt, api::DeleteParams};
use tailrace_crds::{Pipeline, conditions::types};
use tailrace_operator::conditions::find;

use crate::{
    cluster::{job_of, namespace, operator, pipeline},
    support::{Namespace, Object, owned_by},
};

/// Together these specs have every object that a Pipeline can have.
const SPECS: [&str; 2] = ["{}", "{inference: {topology: Split}}"];

/// All that the operator makes for a Pipeline of that spec, but for its Jobs, whose names nobody can guess.
async fn all_objects(spec: &'static str) -> Vec<(&'static str, Object)> {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    let uid = pipeline(&namespace, spec).await.uid().unwrap();
    job_of(&namespace, "check", "").await;
    let objects = owned_by(&namespace, &uid).await;
    let objects: Vec<_> = objects.into_iter().filter(|object| object.resource.kind != "Job").collect();
    println!("{spec} makes {:?}", objects.iter().map(Object::title).collect::<Vec<_>>());
    objects.into_iter().map(|object| (spec, object)).collect()
}

async fn until_told(namespace: &Namespace, expected: &str) {
    let told = |pipeline: &Pipeline| {
        let ready = pipeline.status.as_ref().and_then(|status| find(&status.conditions, types::READY));
        ready.is_some_and(|ready| ready.reason == "NameTaken" && ready.message.starts_with(expected))
    };
    namespace.until::<Pipeline>("cifar", &format!("told: {expected}"), told).await;
}

async fn is_named_and_left_alone(spec: &str, of_operator: &Object) {
    let namespace = namespace().await;
    let foreign = of_operator.copy_to(&namespace, &[("app", "orders")]).await;
    let _operator = operator(&namespace);
    let uid = pipeline(&namespace, spec).await.uid().unwrap();
    let expected = format!("{} exists already and belongs to somebody else: delete or rename it", of_operator.title());
    until_told(&namespace, &expected).await;
    // All others are made.
    job_of(&namespace, "topics", "").await;
    foreign.is_untouched(&namespace).await;

    foreign.delete(&namespace).await;
    let wanted = of_operator.title();
    for _ in 0..200 {
        if owned_by(&namespace, &uid).await.iter().any(|object| object.title() == wanted) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    panic!("{wanted} was not made after the other one was deleted");
}

#[tokio::test]
async fn an_object_of_somebody_else_is_named_in_a_condition_and_not_taken_over_whatever_its_kind() {
    let [all, split] = SPECS.map(all_objects);
    let (mut objects, split) = tokio::join!(all, split);
    let new = |(_, object): &(&str, Object)| objects.iter().all(|(_, known)| known.title() != object.title());
    let split: Vec<_> = split.into_iter().filter(new).collect();
    objects.extend(split);
    assert!(objects.len() >= 10, "{}", objects.len());
    join_all(objects.iter().map(|(spec, object)| is_named_and_left_alone(spec, object))).await;
}

#[tokio::test]
async fn a_pipeline_deleted_without_its_objects_and_applied_again_names_what_is_left() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    let uid = pipeline(&namespace, "{}").await.uid().unwrap();
    job_of(&namespace, "check", "").await;
    let left = owned_by(&namespace, &uid).await;
    // The garbage collector orphans what it has heard of, and deletes what it hears of later.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    namespace.api::<Pipeline>().delete("cifar", &DeleteParams::orphan()).await.unwrap();
    namespace.until_gone::<Pipeline>("cifar").await;
    pipeline(&namespace, "{}").await;
    let told = |pipeline: &Pipeline| {
        let ready = pipeline.status.as_ref().and_then(|status| find(&status.conditions, types::READY));
        ready.is_some_and(|ready| ready.message.contains("was left by an earlier Pipeline \"cifar\""))
    };
    namespace.until::<Pipeline>("cifar", "told what is left", told).await;
    for object in left {
        assert!(object.now(&namespace).await.is_some(), "{} is gone", object.title());
    }
}

#[tokio::test]
async fn a_pipeline_replaced_by_force_again_and_again_always_has_its_objects() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    for _ in 0..3 {
        let uid = pipeline(&namespace, "{}").await.uid().unwrap();
        for _ in 0..300 {
            if owned_by(&namespace, &uid).await.iter().filter(|object| object.resource.kind == "Job").count() == 2 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        let made = owned_by(&namespace, &uid).await;
        assert!(made.len() >= 9, "{:?}", made.iter().map(Object::title).collect::<Vec<_>>());
        namespace.delete::<Pipeline>("cifar").await;
    }
}
