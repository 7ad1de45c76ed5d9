//! What people, and programs, write into fields: right, nearly right and wrong.

use std::{collections::BTreeMap, sync::LazyLock};

use rand::{Rng, RngExt, seq::IndexedRandom};
use serde_json::{Map, Value, json};

use crate::{
    examples::{KEY, example, is_duration},
    fields::Field,
};

const NUMBERS: &[i64] = &[
    1,
    0,
    -1,
    2,
    3,
    5,
    9,
    10,
    47,
    50,
    51,
    75,
    99,
    100,
    101,
    200,
    201,
    256,
    257,
    999,
    1000,
    1001,
    10_000,
    10_001,
    1_000_000,
    1_000_001,
    31_536_000,
    31_536_001,
    1 << 31,
    (1 << 31) - 1,
    -(1 << 31),
    i64::MAX,
    i64::MIN,
];
const LENGTHS: &[usize] = &[2, 31, 32, 33, 39, 40, 41, 48, 49, 62, 63, 64, 249, 250, 253, 254, 317, 318, 1024, 1025];

/// Texts by what they are meant for.
static TEXTS: LazyLock<BTreeMap<String, Vec<String>>> =
    LazyLock::new(|| serde_yaml_ng::from_str(include_str!("texts.yaml")).unwrap());

fn texts(what: &str) -> &'static [String] {
    &TEXTS[what]
}

/// The texts that are meant for such a field.
fn texts_for(name: &str, schema: &Value) -> &'static [String] {
    if schema["x-kubernetes-int-or-string"] == true {
        return texts("quantities");
    }
    if is_duration(schema) {
        return texts("durations");
    }
    match name {
        "requests" | "limits" | "key" | "topologyKey" | "matchLabelKeys" | "mismatchLabelKeys" => texts("label_keys"),
        "labels"
        | "annotations"
        | "nodeSelector"
        | "matchLabels"
        | "value"
        | "values"
        | "serviceAccountAnnotations" => texts("label_values"),
        "bootstrapServers" => texts("brokers"),
        "path" => texts("paths"),
        "max" | "min" => texts("shares"),
        "operator" | "effect" | "whenUnsatisfiable" | "nodeAffinityPolicy" | "nodeTaintsPolicy" => texts("words"),
        _ if schema["enum"].is_array() => texts("words"),
        _ => texts("names"),
    }
}

/// A value for a field.
pub fn draw(random: &mut impl Rng, field: &Field) -> Value {
    if field.is_key() {
        return json!(text(random, texts("label_keys"), &Value::Null));
    }
    value(random, field.name(), &field.schema, 0)
}

/// A name for an object.
pub fn name(random: &mut impl Rng) -> String {
    text(random, texts("names"), &Value::Null)
}

fn value(random: &mut impl Rng, name: &str, schema: &Value, depth: usize) -> Value {
    match random.random_range(0..20) {
        0 => return wrong(random),
        1..6 if depth > 0 => return example(name, schema),
        _ => {}
    }
    let fitting = texts_for(name, schema);
    if schema["x-kubernetes-int-or-string"] == true && random.random_ratio(1, 8) {
        return json!(NUMBERS.choose(random));
    }
    match schema["type"].as_str() {
        Some("object") if schema["additionalProperties"].is_object() => map(random, name, schema, depth),
        Some("object") => object(random, schema, depth),
        Some("array") => list(random, name, schema, depth),
        Some("integer") => json!(NUMBERS.choose(random)),
        Some("boolean") => json!(random.random::<bool>()),
        _ => match schema["enum"].as_array() {
            Some(words) if random.random_ratio(2, 3) => words.choose(random).cloned().unwrap_or_default(),
            _ => json!(text(random, fitting, schema)),
        },
    }
}

/// What is of another type.
fn wrong(random: &mut impl Rng) -> Value {
    let values = [
        json!(null),
        json!(""),
        json!("text"),
        json!(0),
        json!(1.5),
        json!(-1),
        json!(1e300),
        json!(true),
        json!([]),
        json!([null]),
        json!({}),
        json!({ "unknown": 1 }),
        json!([[]]),
        json!(["a", "a"]),
        json!({ "": null }),
        json!([{}]),
    ];
    values.choose(random).cloned().unwrap_or_default()
}

fn object(random: &mut impl Rng, schema: &Value, depth: usize) -> Value {
    let mut members = example("", schema).as_object().cloned().unwrap_or_default();
    let properties: Vec<_> = schema["properties"].as_object().into_iter().flatten().collect();
    for _ in 0..random.random_range(0..4) {
        let Some((name, schema)) = properties.choose(random) else { break };
        members.insert((*name).clone(), value(random, name, schema, depth + 1));
    }
    Value::Object(members)
}

fn map(random: &mut impl Rng, name: &str, schema: &Value, depth: usize) -> Value {
    let most = schema["maxProperties"].as_u64().unwrap_or(8);
    let count = match random.random_range(0..6) {
        0 => 0,
        1 => most,
        2 => most + 1,
        _ => random.random_range(1..4),
    };
    let entries = (0..count).map(|number| {
        let key = match (number, random.random_range(0..3)) {
            (0, 0) => KEY.to_owned(),
            (_, 1) => text(random, texts("label_keys"), &Value::Null),
            _ => format!("example.com/key-{number}"),
        };
        (key, value(random, name, &schema["additionalProperties"], depth + 1))
    });
    Value::Object(entries.collect::<Map<_, _>>())
}

fn list(random: &mut impl Rng, name: &str, schema: &Value, depth: usize) -> Value {
    let most = usize::try_from(schema["maxItems"].as_u64().unwrap_or(4)).unwrap();
    let item = value(random, name, &schema["items"], depth + 1);
    let good = example(name, &schema["items"]);
    Value::Array(match random.random_range(0..7) {
        0 => vec![],
        1 => vec![good; most],
        2 => vec![good; most + 1],
        3 => vec![item; 2],
        4 => vec![item, good],
        5 => vec![item, Value::Null],
        _ => vec![item],
    })
}

/// One of `texts` as it is, or a little changed, or made long; now and then one that belongs elsewhere.
fn text(random: &mut impl Rng, texts: &[String], schema: &Value) -> String {
    let own = |random: &mut _| texts.choose(random).cloned().unwrap_or_default();
    match random.random_range(0..20) {
        0..10 => own(random),
        10..12 => {
            let all: Vec<_> = TEXTS.values().flatten().collect();
            all.choose(random).copied().cloned().unwrap_or_default()
        }
        12..16 => {
            let text = own(random);
            changed(random, &text)
        }
        _ => long(random, schema),
    }
}

fn changed(random: &mut impl Rng, text: &str) -> String {
    let mut letters: Vec<String> = text.chars().map(String::from).collect();
    let strange = texts("strange").choose(random).cloned().unwrap_or_default();
    let at = random.random_range(0..=letters.len());
    match random.random_range(0..4) {
        0 if at < letters.len() => drop(letters.remove(at)),
        1 if at < letters.len() => letters[at] = strange,
        2 => return text.to_uppercase(),
        _ => letters.insert(at, strange),
    }
    letters.concat()
}

/// A text at the limit of its field, or at one of those that Kubernetes and Kafka have.
fn long(random: &mut impl Rng, schema: &Value) -> String {
    let length = match schema["maxLength"].as_u64() {
        Some(most) if random.random() => usize::try_from(most).unwrap() + usize::from(random.random::<bool>()),
        _ => LENGTHS.choose(random).copied().unwrap_or_default(),
    };
    let of = |length: usize, letter: &str| letter.repeat(length);
    match random.random_range(0..6) {
        0 => of(length.div_ceil(2), "a.").trim_end_matches('.').to_owned(),
        1 => format!("{}/{}", of(length, "a"), of(63, "b")),
        2 => format!("example.com/{}", of(length, "b")),
        3 => of(length, "é"),
        4 => of(length, "9"),
        _ => of(length, "a"),
    }
}
