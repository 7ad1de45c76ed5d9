//! How templates come together, and what a container has in the end.

use serde_json::{Value, json};
use tailrace_crds::pod_template::PodTemplate;

use super::{
    Defaults, inherit, inherited_by_all, resources,
    sample::{pod_templates, sample},
};
use crate::labels::Component;

fn whole(mark: &str) -> Value {
    let (_, schema) = pod_templates("loadtests").remove(0);
    sample(&schema, mark)
}

fn template(value: &Value) -> PodTemplate {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn a_container_has_a_memory_limit_and_no_cpu_limit_unless_the_user_wants_one() {
    assert_eq!(
        serde_json::to_value(resources(None, &Defaults::of(Component::Producer))).unwrap(),
        json!({ "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "memory": "512Mi" } })
    );
    let resources_of = |wanted: Value| {
        let wanted = serde_json::from_value(wanted).unwrap();
        serde_json::to_value(resources(Some(&wanted), &Defaults::of(Component::Producer))).unwrap()
    };
    assert_eq!(
        resources_of(json!({ "limits": { "cpu": "1" } })),
        json!({ "limits": { "cpu": "1", "memory": "512Mi" } })
    );
    let requested = json!({ "requests": { "memory": "2Gi" } });
    assert_eq!(resources_of(requested)["limits"], json!({ "memory": "2Gi" }));
}

#[test]
fn what_a_template_leaves_out_is_inherited_and_what_it_says_goes_first() {
    let of_one_part = ["resources", "serviceAccountName", "serviceAccountAnnotations"];
    let (own, of_all) = (whole("own"), whole("all"));
    let fields = own.as_object().unwrap().keys();
    for field in fields {
        let mut without = own.clone();
        without.as_object_mut().unwrap().remove(field);
        let inherited = serde_json::to_value(inherit(template(&without), &template(&of_all))).unwrap();
        let expected = if of_one_part.contains(&field.as_str()) { None } else { of_all.get(field) };
        assert_eq!(inherited.get(field), expected, "{field}");

        let both = serde_json::to_value(inherit(template(&own), &template(&of_all))).unwrap();
        match (&both[field], &own[field]) {
            (Value::Object(both), Value::Object(own)) => assert!(own.iter().all(|(k, v)| both[k] == *v), "{field}"),
            (Value::Array(both), Value::Array(own)) => assert!(both.starts_with(own), "{field}"),
            (both, own) => assert_eq!(both, own, "{field}"),
        }
    }
}

#[test]
fn labels_are_inherited_each_by_itself_and_pull_secrets_and_tolerations_added_once() {
    let own = json!({
        "labels": { "team": "vision" },
        "imagePullSecrets": [{ "name": "ours" }],
        "tolerations": [{ "key": "gpu", "operator": "Exists" }],
    });
    let of_all = json!({
        "labels": { "team": "platform", "cost": "7" },
        "imagePullSecrets": [{ "name": "mirror" }, { "name": "ours" }],
        "tolerations": [{ "key": "spot", "operator": "Exists" }],
    });
    let template = serde_json::to_value(inherit(template(&own), &template(&of_all))).unwrap();
    assert_eq!(template["labels"], json!({ "team": "vision", "cost": "7" }));
    assert_eq!(template["imagePullSecrets"], json!([{ "name": "ours" }, { "name": "mirror" }]));
    assert_eq!(template["tolerations"].as_array().unwrap().len(), 2);
}

#[test]
fn what_all_pods_cannot_have_is_refused_with_what_to_write() {
    for (json, answer) in [
        ("{", "not JSON"),
        (r#"{"nodeselector": {"disk": "fast"}}"#, "there is no \"nodeselector\" for all pods: leave it out"),
        (r#"{"resources": {"limits": {"cpu": "1"}}}"#, "write it into a podTemplate of a Pipeline or LoadTest"),
        (r#"{"serviceAccountName": "builder"}"#, "write it into a podTemplate"),
        (r#"{"labels": {"tailrace.dev/pipeline": "x"}}"#, "write a key that does not begin with tailrace.dev/"),
        (r#"{"annotations": {"app.kubernetes.io/name": "x"}}"#, "or app.kubernetes.io/"),
        (r#"{"tolerations": {}}"#, "invalid type"),
    ] {
        let refusal = inherited_by_all(json).unwrap_err();
        assert!(refusal.contains(answer), "{json}: {refusal}");
    }
    let empty = r#"{"labels": {}, "imagePullSecrets": [], "affinity": null}"#;
    assert_eq!(inherited_by_all(empty), Ok(PodTemplate::default()));
}
