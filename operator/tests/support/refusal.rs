//! An administrator who allows no objects of one kind in a namespace.

use std::time::Duration;

use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    core::v1::ConfigMap,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::namespace::Namespace;

/// How long the API server takes at most to heed a new policy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A policy that refuses every new object of one kind, until it is lifted.
pub struct Refusal {
    namespace: Namespace,
    name: String,
}

impl Refusal {
    /// Refuses new objects of `resource`, such as `jobs` of the group `batch`, from now on.
    pub async fn of(namespace: &Namespace, group: &str, resource: &str) -> Self {
        let refusal = Self { namespace: namespace.clone(), name: format!("{}-{resource}", namespace.name) };
        let policy = serde_json::from_value(json!({
            "metadata": { "name": refusal.name },
            "spec": {
                "matchConstraints": { "resourceRules": [
                    { "apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE"], "resources": [resource] },
                    { "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"],
                      "resourceNames": [refusal.name] },
                ]},
                "validations": [{ "expression": "false", "message": Self::sentence(resource) }],
            },
        }));
        let binding = serde_json::from_value(json!({
            "metadata": { "name": refusal.name },
            "spec": {
                "policyName": refusal.name,
                "validationActions": ["Deny"],
                "matchResources": {
                    "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace.name } },
                },
            },
        }));
        let create = PostParams::default();
        refusal.policies().create(&create, &policy.unwrap()).await.unwrap();
        refusal.bindings().create(&create, &binding.unwrap()).await.unwrap();
        refusal.until_it_refuses(true).await;
        refusal
    }

    /// What the API server says of an object of that kind.
    pub fn sentence(resource: &str) -> String {
        format!("the administrator allows no {resource} here")
    }

    /// Allows what was refused.
    pub async fn lift(self) {
        let delete = DeleteParams::default();
        self.bindings().delete(&self.name, &delete).await.unwrap();
        self.policies().delete(&self.name, &delete).await.unwrap();
        self.until_it_refuses(false).await;
    }

    /// The policy also refuses a ConfigMap of its own name, by which it is seen whether it is in force.
    async fn until_it_refuses(&self, refuses: bool) {
        let config_map = serde_json::from_value(json!({ "metadata": { "name": self.name } })).unwrap();
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let started = Instant::now();
        while self.namespace.api::<ConfigMap>().create(&dry_run, &config_map).await.is_err() != refuses {
            assert!(started.elapsed() < PATIENCE, "the policy {} is not heeded", self.name);
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn policies(&self) -> Api<ValidatingAdmissionPolicy> {
        Api::all(self.namespace.client.clone())
    }

    fn bindings(&self) -> Api<ValidatingAdmissionPolicyBinding> {
        Api::all(self.namespace.client.clone())
    }
}
