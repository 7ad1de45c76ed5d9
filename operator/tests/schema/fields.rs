//! Every field of every definition.

use std::fmt;

use serde_json::Value;

/// The way from `spec` to a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A member of an object.
    Member(String),
    /// An item of a list.
    Item,
    /// A value of a map.
    Entry,
    /// A key of a map.
    Key,
}

/// A field of a definition, however deep.
#[derive(Clone, Debug)]
pub struct Field {
    /// The kind that it belongs to.
    pub kind: Kind,
    /// Where it stands.
    pub path: Vec<Step>,
    /// What the definition says of it; of a key nothing.
    pub schema: Value,
}

/// A kind of Tailrace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Pipeline,
    LoadTest,
    Experiment,
    ProducerReport,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Pipeline, Self::LoadTest, Self::Experiment, Self::ProducerReport];

    pub fn plural(self) -> &'static str {
        match self {
            Self::Pipeline => "pipelines",
            Self::LoadTest => "loadtests",
            Self::Experiment => "experiments",
            Self::ProducerReport => "producerreports",
        }
    }

    /// The schema of its spec.
    pub fn schema(self) -> Value {
        let definitions = tailrace_crds::definitions();
        let (_, definition) = definitions.iter().find(|(name, _)| *name == self.plural()).unwrap();
        let schema = serde_json::to_value(definition.spec.versions[0].schema.as_ref().unwrap()).unwrap();
        schema["openAPIV3Schema"]["properties"]["spec"].clone()
    }

    /// All fields of its spec, the spec included.
    pub fn fields(self) -> Vec<Field> {
        let mut fields = vec![];
        find(&Field { kind: self, path: vec![], schema: self.schema() }, &mut fields);
        fields
    }
}

fn find(field: &Field, fields: &mut Vec<Field>) {
    fields.push(field.clone());
    let below = |step: Step, schema: &Value| Field {
        kind: field.kind,
        path: field.path.iter().cloned().chain([step]).collect(),
        schema: schema.clone(),
    };
    for (name, schema) in field.schema["properties"].as_object().into_iter().flatten() {
        find(&below(Step::Member(name.clone()), schema), fields);
    }
    if field.schema["items"].is_object() {
        find(&below(Step::Item, &field.schema["items"]), fields);
    }
    if field.schema["additionalProperties"].is_object() {
        fields.push(below(Step::Key, &Value::Null));
        find(&below(Step::Entry, &field.schema["additionalProperties"]), fields);
    }
}

impl Field {
    /// The name that says what it is: that of the next object above, for an item or the value of a map.
    pub fn name(&self) -> &str {
        let names = self.path.iter().rev().find_map(|step| match step {
            Step::Member(name) => Some(name.as_str()),
            _ => None,
        });
        names.unwrap_or("spec")
    }

    pub fn is_key(&self) -> bool {
        self.path.last() == Some(&Step::Key)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} spec", self.kind)?;
        self.path.iter().try_for_each(|step| match step {
            Step::Member(name) => write!(f, ".{name}"),
            Step::Item => write!(f, "[]"),
            Step::Entry => write!(f, "{{value}}"),
            Step::Key => write!(f, "{{key}}"),
        })
    }
}
