//! Whether a change of a Pipeline is applied now, or after the LoadTest that runs on it: a pure function.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use tailrace_crds::{Pipeline, pipeline::RolloutPolicy};

use super::{
    build::{Resources, hash},
    observe::Observed,
};

/// What is to be done about the difference between what is wanted and what was applied last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// There is none: whatever somebody has changed or deleted is made again.
    None,
    /// It is applied.
    Now,
    /// It waits for the end of the LoadTest of that name.
    Held(String),
}

/// What is to be done; `active` is the LoadTest that has the Pipeline, if one has.
pub fn rollout(pipeline: &Pipeline, revision: &str, active: Option<String>) -> Rollout {
    match active {
        _ if is_applied(pipeline, revision) => Rollout::None,
        Some(test) if pipeline.spec.rollout_policy == RolloutPolicy::AfterTests => Rollout::Held(test),
        _ => Rollout::Now,
    }
}

/// Whether it was applied last.
pub fn is_applied(pipeline: &Pipeline, revision: &str) -> bool {
    pipeline.status.as_ref().is_some_and(|status| status.revision.as_deref() == Some(revision))
}

/// Differs where anything differs that is made of a Pipeline, but for the policies that concern no object.
pub fn revision(resources: &Resources) -> String {
    let Resources { services, network_policies, kafka, database, archive, topics, check, .. } = resources;
    let claims: Vec<_> = resources.claims.iter().map(|(_, claim)| claim).collect();
    let inference: Vec<_> = resources.inference.iter().map(|(_, deployment)| deployment).collect();
    hash(&(services, network_policies, claims, kafka, database, inference, archive, topics, check))
}

/// What waits, and for what, in a sentence. `running` are the workloads as they are.
pub fn what_waits(pipeline: &Pipeline, resources: &Resources, running: &Observed, test: &str) -> String {
    let observed = pipeline.status.as_ref().and_then(|status| status.observed_generation);
    let wanted = pipeline.metadata.generation;
    let spec = (observed != wanted).then(|| match (wanted, observed) {
        (Some(wanted), Some(observed)) => format!("generation {wanted} of the spec ({observed} is applied)"),
        _ => "the spec".to_owned(),
    });
    let mut changes: Vec<String> = spec.into_iter().chain(new_images(resources, running)).collect();
    if changes.is_empty() {
        changes.push("what this version of the operator makes in another way".to_owned());
    }
    format!(
        "held back until LoadTest \"{test}\" is over: {}; spec.rolloutPolicy Immediate would apply it now and end the test",
        changes.join(", ")
    )
}

fn new_images(resources: &Resources, running: &Observed) -> Vec<String> {
    let sets = [(&resources.kafka, &running.kafka), (&resources.database, &running.database)];
    let sets = sets.into_iter().filter_map(|(wanted, runs)| {
        Some((&wanted.as_ref()?.spec.as_ref()?.template, &runs.as_ref()?.spec.as_ref()?.template))
    });
    let inference = resources.inference.iter().filter_map(|(component, wanted)| {
        let (_, runs) = running.inference.iter().find(|(running, _)| running == component)?;
        Some((wanted, runs))
    });
    let archive = resources.archive.as_ref().zip(running.archive.as_ref());
    let deployments = inference
        .chain(archive)
        .filter_map(|(wanted, runs)| Some((&wanted.spec.as_ref()?.template, &runs.spec.as_ref()?.template)));
    sets.chain(deployments).flat_map(|(wanted, runs)| changed_images(wanted, runs)).collect()
}

fn changed_images(wanted: &PodTemplateSpec, runs: &PodTemplateSpec) -> Vec<String> {
    let containers = |pod: &PodTemplateSpec| pod.spec.as_ref().map(|spec| spec.containers.clone()).unwrap_or_default();
    let running = containers(runs);
    let changed = containers(wanted).into_iter().filter_map(|wanted| {
        let runs = running.iter().find(|container| container.name == wanted.name)?;
        let (new, old) = (wanted.image?, runs.image.clone()?);
        (new != old).then(|| format!("image {new} of {} ({old} runs)", wanted.name))
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::{
        pipeline::{build, validate::validate},
        settings::Settings,
    };

    fn pipeline(spec: serde_json::Value, status: serde_json::Value) -> Pipeline {
        serde_json::from_value(json!({
            "apiVersion": "tailrace.dev/v1alpha1", "kind": "Pipeline",
            "metadata": { "name": "cifar", "namespace": "default", "uid": "1", "generation": 2 },
            "spec": spec, "status": status,
        }))
        .unwrap()
    }

    fn settings(worker: &str) -> Settings {
        let [pod, namespace] = ["--pod-name=operator-0", "--pod-namespace=default"];
        let images = ["--kafka-image=kafka:1", "--mongodb-image=mongo:1", "--ferretdb-image=ferretdb:1"];
        let worker = format!("--worker-image={worker}");
        Settings::parse_from([["operator", &worker, pod, namespace].as_slice(), images.as_slice()].concat())
    }

    fn resources(spec: serde_json::Value, worker: &str) -> Resources {
        let settings = settings(worker);
        build::build(&validate(&pipeline(spec, json!({})), &settings).unwrap(), &settings.images)
    }

    /// As they run.
    fn running(resources: &Resources) -> Observed {
        let Resources { kafka, database, inference, archive, .. } = resources.clone();
        Observed { kafka, database, inference, archive, ..Observed::default() }
    }

    #[test]
    fn only_a_difference_waits_and_only_for_an_active_test() {
        let active = || Some("t".to_owned());
        let after_tests = pipeline(json!({}), json!({ "revision": "a" }));
        assert_eq!(rollout(&after_tests, "a", active()), Rollout::None, "somebody deleted an object");
        assert_eq!(rollout(&after_tests, "b", None), Rollout::Now);
        assert_eq!(rollout(&after_tests, "b", active()), Rollout::Held("t".into()));
        let immediate = pipeline(json!({ "rolloutPolicy": "Immediate" }), json!({ "revision": "a" }));
        assert_eq!(rollout(&immediate, "b", active()), Rollout::Now);
        assert_eq!(rollout(&pipeline(json!({}), json!({})), "b", None), Rollout::Now, "nothing was made yet");
        let of_an_earlier_operator = pipeline(json!({}), json!({ "observedGeneration": 1 }));
        assert_eq!(rollout(&of_an_earlier_operator, "b", active()), Rollout::Held("t".into()));
    }

    #[test]
    fn every_change_of_an_object_is_another_revision_and_a_policy_is_none() {
        let of = |spec| revision(&resources(spec, "worker:1"));
        let first = of(json!({}));
        assert_eq!(of(json!({})), first);
        assert_eq!(of(json!({ "rolloutPolicy": "Immediate" })), first);
        assert_ne!(revision(&resources(json!({}), "worker:2")), first);
        for spec in [
            json!({ "topics": { "images": { "partitions": 13 } } }),
            json!({ "kafka": { "managed": { "storage": { "size": "30Gi" } } } }),
            json!({ "inference": { "replicas": 2 } }),
            json!({ "inference": { "maxBatch": 3 } }),
            json!({ "inference": { "topology": "Split" } }),
            json!({ "archive": { "enabled": false } }),
            json!({ "mongodb": { "managed": { "engine": "FerretDB" } } }),
        ] {
            assert_ne!(of(spec.clone()), first, "{spec}");
        }
    }

    #[test]
    fn what_waits_is_named() {
        let old = running(&resources(json!({}), "worker:1"));
        let spec = pipeline(json!({}), json!({ "observedGeneration": 1 }));
        let told = what_waits(&spec, &resources(json!({}), "worker:1"), &old, "t");
        assert!(
            told.starts_with("held back until LoadTest \"t\" is over: generation 2 of the spec (1 is applied); "),
            "{told}"
        );

        let upgraded = pipeline(json!({}), json!({ "observedGeneration": 2 }));
        let told = what_waits(&upgraded, &resources(json!({}), "worker:2"), &old, "t");
        let images = "image worker:2 of inference (worker:1 runs), image worker:2 of archive (worker:1 runs); ";
        assert!(told.contains(images), "{told}");
        let told = what_waits(&upgraded, &resources(json!({}), "worker:1"), &old, "t");
        assert!(told.contains("what this version of the operator makes in another way"), "{told}");
    }
}
