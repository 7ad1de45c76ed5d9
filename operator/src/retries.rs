//! When an object whose reconciliation failed is tried again: later each time, up to a bound that depends on the error.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::{Resource, runtime::reflector::ObjectRef};

use crate::writer::Error;

/// After so many errors in a row the reason is the object and not the API server.
const PERMANENT_AFTER: u32 = 3;

/// How often in a row the reconciliation of each object has failed.
#[derive(Debug, Default)]
pub struct Retries(Mutex<HashMap<Key, u32>>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: String,
    namespace: Option<String>,
    name: String,
}

impl Key {
    fn of<K: Resource<DynamicType = ()>>(object: &ObjectRef<K>) -> Self {
        Self { kind: K::kind(&()).into_owned(), namespace: object.namespace.clone(), name: object.name.clone() }
    }
}

impl Retries {
    /// Counts a failure of `object`, and says how long to wait before it is tried again.
    pub fn delay_after<K: Resource<DynamicType = ()>>(&self, object: &K, error: &Error) -> Duration {
        with_jitter(delay(error, self.failed(object)))
    }

    /// How many failures in a row there were before this one.
    fn failed<K: Resource<DynamicType = ()>>(&self, object: &K) -> u32 {
        let mut counts = self.counts();
        let count = counts.entry(Key::of(&ObjectRef::from_obj(object))).or_default();
        let before = *count;
        *count = before.saturating_add(1);
        before
    }

    /// Forgets the failures of an object that was reconciled, or that is gone.
    pub fn succeeded<K: Resource<DynamicType = ()>>(&self, object: &ObjectRef<K>) {
        self.counts().remove(&Key::of(object));
    }

    /// Whether `error`, met while `object` was reconciled, will not change by waiting: the API server refuses, or it
    /// has answered 500 again and again, as it does to quantities that it cannot read, or 404.
    pub fn is_lasting<K: Resource<DynamicType = ()>>(&self, object: &K, error: &Error) -> bool {
        let failures = || self.counts().get(&Key::of(&ObjectRef::from_obj(object))).copied().unwrap_or_default();
        error.is_refusal() || (error.may_be_permanent() && failures() >= PERMANENT_AFTER)
    }

    /// A panic while the lock was held leaves counts that are as good as any.
    fn counts(&self) -> MutexGuard<'_, HashMap<Key, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait after `error`, which came after so many failures in a row, before jitter.
///
/// A conflict means that what was decided on is old already, so it is decided again soon. What the API server refuses
/// may be allowed by its administrator at any time, but not often; all else is about the API server and may pass soon.
fn delay(error: &Error, failures: u32) -> Duration {
    let (first, longest) = match error {
        error if error.is_conflict() => (Duration::from_millis(100), Duration::from_secs(5)),
        error if error.is_refusal() => (Duration::from_secs(2), Duration::from_secs(180)),
        _ => (Duration::from_secs(2), Duration::from_secs(30)),
    };
    first.saturating_mul(1 << failures.min(16)).min(longest)
}

/// The delay between half of it and half again of it, so that what failed together is not tried again together.
fn with_jitter(delay: Duration) -> Duration {
    delay.mul_f64(rand::random_range(0.5..1.5))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use tailrace_crds::Pipeline;

    use super::*;

    fn answer(code: u16, reason: &str) -> Error {
        of(Status::failure("no", reason).with_code(code))
    }

    /// That another object is missing.
    fn not_found(name: &str) -> Error {
        let details = serde_json::from_value(serde_json::json!({ "name": name })).unwrap();
        of(Status::failure("no", "NotFound").with_code(404).with_details(details))
    }

    fn of(status: Status) -> Error {
        Error::Request {
            verb: "apply",
            kind: "Service".into(),
            name: "a".into(),
            source: Box::new(kube::Error::Api(Box::new(status))),
        }
    }

    fn pipeline(name: &str) -> Pipeline {
        serde_json::from_value(serde_json::json!({ "metadata": { "name": name, "namespace": "n" }, "spec": {} }))
            .unwrap()
    }

    #[test]
    fn the_delay_grows_up_to_a_bound_that_depends_on_the_error() {
        let conflict = answer(409, "Conflict");
        let delays = |error: &Error| [0, 1, 4, 100].map(|failures| delay(error, failures).as_millis());
        assert_eq!(delays(&conflict), [100, 200, 1_600, 5_000]);
        assert_eq!(delays(&answer(403, "Forbidden")), [2_000, 4_000, 32_000, 180_000]);
        assert_eq!(delays(&answer(500, "InternalError")), [2_000, 4_000, 30_000, 30_000]);
        for _ in 0..100 {
            let jittered = with_jitter(Duration::from_secs(2)).as_millis();
            assert!((1_000..=3_000).contains(&jittered), "{jittered}");
        }
    }

    #[test]
    fn failures_are_counted_for_each_object_until_it_succeeds() {
        let retries = Retries::default();
        let (a, b) = (pipeline("a"), pipeline("b"));
        assert_eq!([retries.failed(&a), retries.failed(&a), retries.failed(&b)], [0, 1, 0]);
        retries.succeeded(&ObjectRef::from_obj(&a));
        assert_eq!([retries.failed(&a), retries.failed(&b)], [0, 1]);
    }

    #[test]
    fn an_error_of_the_api_server_lasts_when_it_repeats_and_a_refusal_at_once() {
        let retries = Retries::default();
        let object = pipeline("a");
        let repeated = [answer(500, "InternalError"), not_found("Role")];
        assert!(retries.is_lasting(&object, &answer(403, "Forbidden")));
        for _ in 0..PERMANENT_AFTER {
            assert!(!repeated.iter().any(|error| retries.is_lasting(&object, error)));
            retries.failed(&object);
        }
        assert!(repeated.iter().all(|error| retries.is_lasting(&object, error)));
        assert!(!retries.is_lasting(&object, &answer(503, "ServiceUnavailable")));
    }
}
