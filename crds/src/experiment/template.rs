//! The schema of a LoadTest's spec inside an Experiment.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::load_test::LoadTestSpec;

/// What is decided about a LoadTest that exists. Those of an Experiment end and are deleted as the Experiment says: one that
/// were deleted at its end could be gone before anybody has read what it found.
const OF_A_TEST_THAT_EXISTS: [&str; 3] = ["suspend", "abort", "ttlSecondsAfterFinished"];

/// The schema of a LoadTest's spec without the rules on changes, since the Experiment has its own.
pub fn schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = LoadTestSpec::json_schema(generator);
    if let Some(rules) = schema.get_mut("x-kubernetes-validations").and_then(Value::as_array_mut) {
        rules.retain(|rule| rule["rule"].as_str().is_none_or(|rule| !rule.contains("oldSelf")));
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !OF_A_TEST_THAT_EXISTS.contains(&name.as_str()));
        // Its many tests would fill the database with what nobody looks at.
        if let Some(keep_documents) = properties.get_mut("keepDocuments").and_then(Value::as_object_mut) {
            keep_documents.insert("default".into(), false.into());
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_the_rules_of_a_load_test_but_for_those_on_changes() {
        let mut generator = SchemaGenerator::default();
        let [test, template] = [LoadTestSpec::json_schema(&mut generator), schema(&mut generator)].map(|schema| {
            schema.get("x-kubernetes-validations").and_then(Value::as_array).cloned().unwrap_or_default()
        });
        assert!(!template.is_empty() && template.len() < test.len());
        assert!(template.iter().all(|rule| test.contains(rule) && !rule.to_string().contains("oldSelf")));
        let template = schema(&mut generator);
        let properties = template.get("properties").and_then(Value::as_object).unwrap();
        assert!(properties.contains_key("duration"));
        assert_eq!(properties["keepDocuments"]["default"], Value::Bool(false));
        assert!(OF_A_TEST_THAT_EXISTS.iter().all(|name| !properties.contains_key(*name)));
    }
}
