//! A template with a value in every field that the definitions admit, so that a new field is tested by itself.

use serde_json::{Map, Value, json};

/// The fields `podTemplate` of a kind, such as `["kafka", "managed", "podTemplate"]`, and the schema of each.
pub fn pod_templates(kind: &str) -> Vec<(Vec<String>, Value)> {
    let definitions = tailrace_crds::definitions();
    let (_, definition) = definitions.iter().find(|(name, _)| *name == kind).unwrap();
    let schema = serde_json::to_value(definition.spec.versions[0].schema.as_ref().unwrap()).unwrap();
    let mut found = vec![];
    find(&schema["openAPIV3Schema"]["properties"]["spec"], &[], &mut found);
    found
}

fn find(schema: &Value, path: &[String], found: &mut Vec<(Vec<String>, Value)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = [path, std::slice::from_ref(name)].concat();
        if name == "podTemplate" {
            found.push((path, property.clone()));
        } else {
            find(property, &path, found);
        }
    }
}

/// A template of that schema whose strings are all different, and begin with `mark`.
pub fn sample(schema: &Value, mark: &str) -> Value {
    value(schema, mark, &mut 0)
}

fn value(schema: &Value, mark: &str, number: &mut u64) -> Value {
    *number += 1;
    if schema["x-kubernetes-int-or-string"] == true {
        return json!(format!("{}Mi", 1000 + *number));
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            let mut members: Map<String, Value> =
                properties.iter().map(|(name, property)| (name.clone(), value(property, mark, number))).collect();
            if schema["additionalProperties"].is_object() {
                let key = string(mark, number);
                members.insert(key, value(&schema["additionalProperties"], mark, number));
            }
            Value::Object(members)
        }
        Some("array") => json!([value(&schema["items"], mark, number)]),
        Some("integer") => json!(1000 + *number),
        Some("boolean") => json!(true),
        _ => json!(string(mark, number)),
    }
}

fn string(mark: &str, number: &mut u64) -> String {
    *number += 1;
    format!("{mark}.{number}")
}

/// All strings of a sample, names of members that it made up included.
pub fn marks(sample: &Value, mark: &str) -> Vec<String> {
    let text = sample.to_string();
    let quoted = text.split('"').filter(|part| part.starts_with(&format!("{mark}."))).map(str::to_owned);
    quoted.collect()
}

/// Writes `value` into `spec` under `path`.
pub fn write(spec: &mut Value, path: &[String], value: Value) {
    let mut place = spec;
    for name in path {
        place = &mut place[name];
    }
    *place = value;
}
