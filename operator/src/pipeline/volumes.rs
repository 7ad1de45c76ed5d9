//! The volumes of the managed servers: whose they are, how large they are, and what has to change of them. Pure.

use k8s_openapi::{
    api::core::v1::PersistentVolumeClaim,
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::OwnerReference},
};
use kube::{Resource, ResourceExt};
use tailrace_crds::{Pipeline, pipeline::DeletionPolicy};

use super::{
    build::{claims::claim_name, name_of},
    validate::Validated,
};
use crate::{
    labels::{Component, PIPELINE},
    quantity,
};

/// A volume that the spec wants, as it was found.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Whose it is.
    pub component: Component,
    /// The name of its claim.
    pub name: String,
    /// Its claim, if that is this Pipeline's.
    pub claim: Option<PersistentVolumeClaim>,
    /// Whether it can be used.
    pub standing: Standing,
}

/// Whether a volume can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As the spec wants it.
    Good,
    /// It is being expanded, which is described here.
    Expanding(String),
    /// It is smaller than the spec wants it, for this reason.
    TooSmall(String),
    /// No server may start on it, for this reason.
    Unusable(String),
}

impl Volume {
    /// Why no server may start on it.
    pub fn why_unusable(&self) -> Option<&str> {
        match &self.standing {
            Standing::Unusable(why) => Some(why),
            _ => None,
        }
    }

    /// What the claim says that the volume holds, once it is bound.
    pub fn capacity_bytes(&self) -> Option<i64> {
        let bytes = quantity::bytes(capacity(self.claim.as_ref()?)?).ok()?;
        i64::try_from(bytes).ok()
    }
}

/// What the volume really holds, once the claim is bound.
pub fn capacity(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    claim.status.as_ref()?.capacity.as_ref()?.get("storage")
}

/// What the volume of the broker really holds.
pub fn of_broker<'a>(claims: &'a [PersistentVolumeClaim], pipeline: &Pipeline) -> Option<&'a Quantity> {
    let name = claim_name(&pipeline.name_any(), Component::Kafka);
    capacity(claims.iter().find(|claim| claim.name_any() == name)?)
}

/// Why no server may start on the claim: it would lose what it wrote.
pub fn why_unusable(claim: &PersistentVolumeClaim, pipeline: &Validated) -> Option<String> {
    let name = claim.name_any();
    if claim.metadata.deletion_timestamp.is_some() {
        return Some(format!(
            "PersistentVolumeClaim {name} is being deleted, which waits for the end of the pods that use it: \
             a new, empty one is made then"
        ));
    }
    let earlier = |owner: &&OwnerReference| owner.kind == Pipeline::kind(&()) && owner.uid != pipeline.uid;
    claim.owner_references().iter().find(earlier).map(|owner| {
        format!(
            "PersistentVolumeClaim {name} is deleted with an earlier Pipeline {}: a new one is made then",
            owner.name
        )
    })
}

/// The owners that a claim of the Pipeline should have, if it has others. With the policy Delete it goes with the
/// Pipeline; it never goes with its StatefulSet, as claims made from a template of the set may.
pub fn owners(claim: &PersistentVolumeClaim, pipeline: &Validated) -> Option<Vec<OwnerReference>> {
    let sets = [Component::Kafka, Component::Database].map(|component| name_of(&pipeline.name, component));
    let mut wanted = claim.owner_references().to_vec();
    wanted.retain(|owner| owner.uid != pipeline.uid && !(owner.kind == "StatefulSet" && sets.contains(&owner.name)));
    if pipeline.deletion_policy == DeletionPolicy::Delete {
        wanted.push(pipeline.owner.clone());
    }
    (wanted != claim.owner_references()).then_some(wanted)
}

/// The size that the claim has to be asked for, if it has not been.
pub fn growth<'a>(claim: &PersistentVolumeClaim, wanted: &'a PersistentVolumeClaim) -> Option<&'a Quantity> {
    let wanted = requested(wanted)?;
    let is_bound = claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
    // The API server changes bound claims alone.
    (is_bound && bytes(requested(claim)) < bytes(Some(wanted))).then_some(wanted)
}

/// How far a claim is on its way to the size that it was asked for.
pub fn standing(claim: &PersistentVolumeClaim) -> Standing {
    let (Some(capacity), Some(requested)) = (capacity(claim), requested(claim)) else { return Standing::Good };
    if bytes(Some(capacity)) >= bytes(Some(requested)) {
        return Standing::Good;
    }
    let conditions = claim.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let progress = conditions.filter(|condition| condition.status == "True").map(|condition| {
        let message = condition.message.as_deref().filter(|message| !message.is_empty());
        message.map_or_else(|| condition.type_.clone(), |message| format!("{}: {message}", condition.type_))
    });
    let progress: Vec<String> = progress.collect();
    let progress = if progress.is_empty() { String::new() } else { format!(" ({})", progress.join("; ")) };
    Standing::Expanding(format!(
        "PersistentVolumeClaim {} is being expanded from {} to {}{progress}",
        claim.name_any(),
        capacity.0,
        requested.0,
    ))
}

/// A claim that has the name of ours and not our labels.
pub fn somebody_elses(name: &str, pipeline: &str) -> Standing {
    Standing::Unusable(format!(
        "PersistentVolumeClaim {name} is not of this Pipeline and is not touched: delete or rename it, or have it used \
         with kubectl label pvc {name} {PIPELINE}={pipeline}"
    ))
}

/// What a volume that cannot grow means, and what to do.
pub fn cannot_grow(claim: &PersistentVolumeClaim, wanted: &Quantity, refusal: &str) -> Standing {
    let size = capacity(claim).or(requested(claim)).map_or("", |size| size.0.as_str());
    Standing::TooSmall(format!(
        "PersistentVolumeClaim {} holds {size} and the spec wants {}: {refusal}. It is used as it is; set \
         allowVolumeExpansion in its StorageClass, or make a Pipeline of another name with a volume of that size",
        claim.name_any(),
        wanted.0,
    ))
}

fn requested(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")
}

/// What cannot be read counts as nothing.
fn bytes(quantity: Option<&Quantity>) -> u64 {
    quantity.and_then(|quantity| quantity::bytes(quantity).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::{pipeline::validate::validate, settings::Settings};

    fn pipeline(policy: &str) -> Validated {
        let pipeline = json!({ "apiVersion": "tailrace.dev/v1alpha1", "kind": "Pipeline",
            "metadata": { "name": "cifar", "namespace": "demo", "uid": "new" }, "spec": { "deletionPolicy": policy } });
        let images = ["--worker-image=a", "--kafka-image=b", "--mongodb-image=c", "--ferretdb-image=d"];
        let pod = ["--pod-name=operator-0", "--pod-namespace=default"];
        let settings = Settings::parse_from([["operator"].as_slice(), &images, &pod].concat());
        validate(&serde_json::from_value(pipeline).unwrap(), &settings).unwrap()
    }

    fn claim(metadata: Value, requested: &str, status: Value) -> PersistentVolumeClaim {
        let mut claim: PersistentVolumeClaim = serde_json::from_value(json!({ "metadata": metadata,
            "spec": { "resources": { "requests": { "storage": requested } } }, "status": status }))
        .unwrap();
        claim.metadata.name = Some("data-cifar-kafka-0".into());
        claim
    }

    fn owned_by(owners: &[(&str, &str, &str)]) -> PersistentVolumeClaim {
        let owner = |(kind, name, uid): &(&str, &str, &str)| json!({ "apiVersion": "v1", "kind": kind, "name": name, "uid": uid });
        let owners: Vec<_> = owners.iter().map(owner).collect();
        claim(json!({ "ownerReferences": owners }), "2Gi", json!({}))
    }

    #[test]
    fn a_claim_is_its_pipelines_with_the_policy_delete_and_never_its_sets() {
        let set = ("StatefulSet", "cifar-kafka", "1");
        let somebody = ("Backup", "nightly", "2");
        let names = |policy, owners: &[_]| {
            let owners = super::owners(&owned_by(owners), &pipeline(policy));
            owners.map(|owners| owners.into_iter().map(|owner| owner.uid).collect::<Vec<_>>())
        };
        assert_eq!(names("Retain", &[]), None);
        assert_eq!(names("Retain", &[set, somebody]), Some(vec!["2".into()]));
        assert_eq!(names("Retain", &[("Pipeline", "cifar", "new")]), Some(vec![]));
        assert_eq!(names("Delete", &[set, somebody]), Some(vec!["2".into(), "new".into()]));
        let owned = names("Delete", &[]);
        assert_eq!(owned, Some(vec!["new".into()]));
    }

    #[test]
    fn what_goes_with_an_earlier_pipeline_or_is_being_deleted_is_not_used() {
        let why = |claim: &PersistentVolumeClaim| why_unusable(claim, &pipeline("Delete"));
        assert_eq!(why(&owned_by(&[("Pipeline", "cifar", "new")])), None);
        assert!(why(&owned_by(&[("Pipeline", "cifar", "old")])).unwrap().contains("an earlier Pipeline cifar"));
        let deleted = claim(json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" }), "2Gi", json!({}));
        assert!(why(&deleted).unwrap().contains("is being deleted"));
    }

    #[test]
    fn only_a_bound_claim_that_is_too_small_is_asked_to_grow() {
        let wanted = claim(json!({}), "3Gi", json!({}));
        let grows = |requested, phase: &str| {
            let found = claim(json!({}), requested, json!({ "phase": phase }));
            growth(&found, &wanted).map(|size| size.0.clone())
        };
        assert_eq!(grows("2Gi", "Bound").as_deref(), Some("3Gi"));
        assert_eq!(grows("2Gi", "Pending"), None);
        assert_eq!(grows("3072Mi", "Bound"), None);
        assert_eq!(grows("20Gi", "Bound"), None);
    }

    #[test]
    fn an_expansion_is_told_with_how_far_it_is() {
        let condition =
            json!([{ "type": "FileSystemResizePending", "status": "True", "message": "waiting for the node" }]);
        let growing = claim(json!({}), "3Gi", json!({ "capacity": { "storage": "2Gi" }, "conditions": condition }));
        let Standing::Expanding(how) = standing(&growing) else { panic!("it is expanding") };
        assert!(how.ends_with("from 2Gi to 3Gi (FileSystemResizePending: waiting for the node)"), "{how}");
        let grown = claim(json!({}), "3Gi", json!({ "capacity": { "storage": "3Gi" } }));
        assert_eq!(standing(&grown), Standing::Good);
    }
}
