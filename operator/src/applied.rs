//! Objects that are as they should be are left alone: a Pipeline at rest makes no requests.
//!
//! Each object bears a digest of what was asked for when it was applied. One that bears the present digest and has all
//! that is asked for needs nothing. The API server may write a value in another way than it was asked for (`1000m` as
//! `1`), so what it made of an object is remembered, too. Whatever others change in what was asked for is applied
//! again.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex},
};

use kube::ResourceExt;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    labels::ASKED_FOR,
    lock, quantity,
    watch::{Watch, Watched},
    writer::{Error, Writer},
};

/// How many objects are remembered; they are all forgotten then, which costs one apply each.
const MOST: usize = 20_000;

/// What the API server made of the objects that were applied, by their UIDs.
#[derive(Debug, Default)]
pub struct Applied(Mutex<HashMap<String, u64>>);

impl Applied {
    /// Makes `object` what it says unless it is that already, and returns it as it is, status included.
    pub async fn keep<K>(&self, writer: &Writer, watch: &Watch<K>, object: &K) -> Result<K, Error>
    where
        K: Watched + Serialize,
    {
        let wanted = with_digest(object);
        let found = watch.get(&wanted.namespace().unwrap_or_default(), &wanted.name_any());
        if let Some(found) = found.filter(|found| self.is_kept(&wanted, found)) {
            return Ok(Arc::unwrap_or_clone(found));
        }
        let made = writer.apply(&wanted).await?;
        self.remember(&wanted, &made);
        Ok(made)
    }

    fn is_kept<K: Watched + Serialize>(&self, wanted: &K, found: &K) -> bool {
        if found.meta().deletion_timestamp.is_some() || digest(found) != digest(wanted) {
            return false;
        }
        let (Some(uid), Some(asked), Some(part)) = (found.uid(), json(wanted), part(wanted, found)) else {
            return false;
        };
        is_same(&asked, &part) || lock(&self.0).get(&uid) == Some(&hash(&part))
    }

    fn remember<K: Watched + Serialize>(&self, wanted: &K, made: &K) {
        let (Some(uid), Some(part)) = (made.uid(), part(wanted, made)) else { return };
        let mut known = lock(&self.0);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(uid, hash(&part));
    }
}

fn digest<K: Watched>(object: &K) -> Option<&String> {
    object.annotations().get(ASKED_FOR)
}

fn with_digest<K: Watched + Serialize>(object: &K) -> K {
    let text = serde_json::to_string(object).unwrap_or_default();
    let digest = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let mut object = object.clone();
    object.annotations_mut().insert(ASKED_FOR.into(), digest);
    object
}

fn json<K: Serialize>(object: &K) -> Option<Value> {
    serde_json::to_value(object).ok()
}

/// Of `found` what is asked for in `wanted`.
fn part<K: Serialize>(wanted: &K, found: &K) -> Option<Value> {
    Some(part_of(&json(wanted)?, &json(found)?))
}

fn part_of(wanted: &Value, found: &Value) -> Value {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let of_key =
                |(key, value): (&String, &Value)| (key.clone(), part_of(value, found.get(key).unwrap_or(&Value::Null)));
            Value::Object(wanted.iter().map(of_key).collect())
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            Value::Array(wanted.iter().zip(found).map(|(wanted, found)| part_of(wanted, found)).collect())
        }
        (_, found) => found.clone(),
    }
}

/// Whether two values mean the same to the API server: what is empty is as good as missing, and `1024Mi` is `1Gi`.
fn is_same(asked: &Value, found: &Value) -> bool {
    match (asked, found) {
        (Value::Object(asked), Value::Null) => asked.values().all(|value| is_same(value, &Value::Null)),
        (Value::Array(asked), Value::Null) => asked.is_empty(),
        (Value::String(asked), Value::Null) => asked.is_empty(),
        (Value::Object(asked), Value::Object(found)) => asked.iter().all(|(key, value)| {
            let found = found.get(key).unwrap_or(&Value::Null);
            if QUANTITIES.contains(&key.as_str()) { are_same_quantities(value, found) } else { is_same(value, found) }
        }),
        (Value::Array(asked), Value::Array(found)) => {
            asked.len() == found.len() && asked.iter().zip(found).all(|(asked, found)| is_same(asked, found))
        }
        (asked, found) => asked == found,
    }
}

/// Where quantities are.
const QUANTITIES: [&str; 3] = ["requests", "limits", "sizeLimit"];

fn are_same_quantities(asked: &Value, found: &Value) -> bool {
    match (asked, found) {
        (Value::Object(asked), Value::Object(found)) => {
            asked.iter().all(|(name, value)| found.get(name).is_some_and(|found| are_same_quantities(value, found)))
        }
        (Value::String(asked), Value::String(found)) => quantity::is_same(asked, found),
        (asked, found) => is_same(asked, found),
    }
}

fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;

    use super::*;

    fn deployment(memory: &str) -> Deployment {
        serde_yaml_ng::from_str(&format!(
            "{{metadata: {{name: cifar-archive, labels: {{a: b}}}}, spec: {{replicas: 1, selector: {{}}, template: {{spec:
               {{containers: [{{name: archive, resources: {{limits: {{memory: {memory}}}}}}}]}}}}}}}}"
        ))
        .unwrap()
    }

    /// As the API server returns it, with values of its own.
    fn stored(wanted: &Deployment) -> Deployment {
        let mut stored = wanted.clone();
        stored.metadata.uid = Some("1".into());
        stored.annotations_mut().insert("deployment.kubernetes.io/revision".into(), "1".into());
        stored.spec.as_mut().unwrap().revision_history_limit = Some(10);
        stored
    }

    #[test]
    fn an_object_that_has_all_that_is_asked_for_is_left_alone_even_by_an_operator_that_did_not_make_it() {
        let wanted = with_digest(&deployment("1Gi"));
        assert!(Applied::default().is_kept(&wanted, &stored(&wanted)));
    }

    #[test]
    fn a_value_that_is_written_in_another_way_is_applied_once() {
        let wanted = with_digest(&deployment("1024Mi"));
        let mut found = stored(&deployment("1Gi"));
        found.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0].name = "Archive".into();
        found.annotations_mut().extend(wanted.annotations().clone());
        let applied = Applied::default();
        assert!(!applied.is_kept(&wanted, &found));
        applied.remember(&wanted, &found);
        assert!(applied.is_kept(&wanted, &found));
    }

    #[test]
    fn whatever_others_change_or_the_spec_asks_for_anew_is_applied() {
        let wanted = with_digest(&deployment("1Gi"));
        let applied = Applied::default();
        applied.remember(&wanted, &stored(&wanted));
        let drifts: [fn(&mut Deployment); 5] = [
            |found| found.spec.as_mut().unwrap().replicas = Some(0),
            |found| drop(found.labels_mut().remove("a")),
            |found| found.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers.push(Default::default()),
            |found| drop(found.annotations_mut().remove(ASKED_FOR)),
            |found| found.metadata.deletion_timestamp = Some(serde_json::from_str("\"2026-01-01T00:00:00Z\"").unwrap()),
        ];
        for (number, drift) in drifts.iter().enumerate() {
            let mut found = stored(&wanted);
            drift(&mut found);
            assert!(!applied.is_kept(&wanted, &found), "drift {number}");
        }
        // What is not asked for any more is still there, and all that is asked for, too.
        let mut less = deployment("1Gi");
        less.metadata.labels = None;
        assert!(!applied.is_kept(&with_digest(&less), &stored(&wanted)));
    }
}
