//! Objects that the API server takes, and one value among them that is another.

use serde_json::{Map, Value, json};

use crate::fields::{Field, Kind, Step};

/// What any map may have: a label, and among resources a device.
pub const KEY: &str = "memory";

/// Of these members of an object only one may be there.
const INSTEAD_OF: [(&str, &str); 5] = [
    ("managed", "external"),
    ("open", "closed"),
    ("max", "min"),
    ("producers", "ratesPerProducer"),
    ("sweep", "maxRate"),
];

/// The spec of an object of that kind in which `field` can have its example.
pub fn spec_around(field: &Field) -> Value {
    let is_below = |name: &str| field.path.contains(&Step::Member(name.into()));
    match field.kind {
        Kind::Pipeline => json!({}),
        Kind::LoadTest => test("closed"),
        Kind::Experiment if is_below("maxRate") => {
            let mut template = test("open");
            template["slos"] = json!([{ "metric": "P95", "max": "50ms" }]);
            json!({ "maxRate": { "from": 1, "to": 100 }, "template": template })
        }
        Kind::Experiment => {
            let load = if is_below("ratesPerProducer") { "open" } else { "closed" };
            json!({ "sweep": { "producers": [1] }, "template": test(load) })
        }
        Kind::ProducerReport => json!({ "loadTest": "earlier", "index": 0 }),
    }
}

fn test(load: &str) -> Value {
    let members = if load == "open" { json!({ "ratePerProducer": 1 }) } else { json!({}) };
    json!({ "pipelineRef": { "name": "cifar" }, "load": { load: members } })
}

/// Puts `value` where `path` leads to, and around it what it needs.
pub fn put(place: &mut Value, schema: &Value, path: &[Step], value: Value) {
    let Some((step, rest)) = path.split_first() else {
        *place = value;
        return;
    };
    match step {
        Step::Member(name) => {
            let members = object(place, schema);
            let (_, schema) = schema["properties"].as_object().unwrap().iter().find(|(own, _)| *own == name).unwrap();
            let others = INSTEAD_OF.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]);
            others.filter(|(one, _)| one == name).for_each(|(_, other)| drop(members.remove(other)));
            members.extend(needs(name));
            put(members.entry(name).or_insert(Value::Null), schema, rest, value);
        }
        Step::Item => {
            if place.as_array().is_none_or(Vec::is_empty) {
                *place = json!([example("", &schema["items"])]);
            }
            put(&mut place[0], &schema["items"], rest, value);
        }
        Step::Entry => {
            let members = object(place, schema);
            put(members.entry(KEY).or_insert(Value::Null), &schema["additionalProperties"], rest, value);
        }
        Step::Key => {
            let key = value.as_str().unwrap_or_default();
            object(place, schema).insert(key.to_owned(), example("", &schema["additionalProperties"]));
        }
    }
}

fn object<'a>(place: &'a mut Value, schema: &Value) -> &'a mut Map<String, Value> {
    if !place.is_object() {
        *place = example("", schema);
    }
    place.as_object_mut().unwrap()
}

/// What must stand beside a member, so that it may be there.
fn needs(name: &str) -> Map<String, Value> {
    let needs = match name {
        "values" => json!({ "operator": "In" }),
        "matchLabelKeys" | "mismatchLabelKeys" => json!({ "labelSelector": { "matchLabels": { "app": "cifar" } } }),
        "value" => json!({ "key": "gpu", "operator": "Equal" }),
        "tolerationSeconds" => json!({ "key": "gpu", "effect": "NoExecute" }),
        "volume" => json!({ "source": "Volume" }),
        "jpegQuality" => json!({ "encoding": "Jpeg" }),
        _ => json!({}),
    };
    needs.as_object().unwrap().clone()
}

/// A value of that schema that the API server takes.
pub fn example(name: &str, schema: &Value) -> Value {
    if schema["x-kubernetes-int-or-string"] == true {
        return json!("1Gi");
    }
    if let Some(words) = schema["enum"].as_array() {
        // An operator that needs no values.
        return words.iter().find(|word| *word == "Exists").or(words.first()).cloned().unwrap_or_default();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let mut members: Map<_, _> =
                required.map(|name| (name.to_owned(), example(name, &properties[name]))).collect();
            // One of two.
            let one_of_two = ["managed", "closed", "max", "sweep", "producers"];
            for name in one_of_two.into_iter().filter(|name| properties.contains_key(*name)) {
                members.entry(name).or_insert(example(name, &properties[name]));
            }
            if properties.contains_key("tolerationSeconds") {
                members.insert("key".into(), json!("gpu"));
            }
            Value::Object(members)
        }
        Some("array") if name == "matchFields" => {
            json!([{ "key": "metadata.name", "operator": "In", "values": ["node-1"] }])
        }
        Some("array") => json!([example(name, &schema["items"])]),
        Some("integer") => json!(1),
        Some("boolean") => json!(true),
        _ if is_duration(schema) => json!("90s"),
        _ => json!(match name {
            "claimName" => "photos",
            "path" => "photos/test",
            "bootstrapServers" => "kafka-0.example:9092",
            "topologyKey" => "kubernetes.io/hostname",
            "whenUnsatisfiable" => "DoNotSchedule",
            "nodeAffinityPolicy" | "nodeTaintsPolicy" => "Honor",
            "operator" => "Exists",
            "effect" => "NoExecute",
            "max" | "min" => "50ms",
            "database" => "iot",
            _ => "cifar",
        }),
    }
}

pub fn is_duration(schema: &Value) -> bool {
    let rules = schema["x-kubernetes-validations"].as_array();
    rules.is_some_and(|rules| {
        rules.iter().any(|rule| rule["message"].as_str().unwrap_or("").starts_with("not a duration"))
    })
}
