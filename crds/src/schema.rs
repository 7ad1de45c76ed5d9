//! What every definition has beyond what its types say: whatever the API server admits can be read and used.
//!
//! The types of pods come from Kubernetes without rules. They are found wherever they stand in a schema, so that a field
//! which is added later is covered too, and are checked as the API server checks pods.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool, ValidationRule,
};
use kube::core::Rule;

use crate::rules::{self, LONGEST_KEY};

mod scheduling;

/// So many resources have room in the API server's budget for rules.
const RESOURCES: i64 = 5;
/// The terms, expressions and labels of a selector: Kubernetes sets no limit, and rules on lists without one have no room.
const TERMS: i64 = 20;
/// The values of an expression.
const VALUES: i64 = 100;

/// Adds the rules to all versions of a definition.
pub fn complete(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            walk(schema);
        }
    }
    definition
}

fn walk(schema: &mut JSONSchemaProps) {
    bound_values_of_labels(schema);
    if has(schema, &["claims", "limits", "requests"]) {
        resources(schema);
    } else if has(schema, &["effect", "key", "operator", "tolerationSeconds", "value"]) {
        toleration(schema);
    } else if has(schema, &["maxSkew", "topologyKey", "whenUnsatisfiable"]) {
        spread(schema);
    }
    scheduling::constrain(schema);
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        walk(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        walk(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        walk(values);
    }
}

fn has(schema: &JSONSchemaProps, names: &[&str]) -> bool {
    schema.properties.as_ref().is_some_and(|properties| names.iter().all(|name| properties.contains_key(*name)))
}

/// A rule about texts of any length has no room in the API server's budget.
fn bound_values_of_labels(schema: &mut JSONSchemaProps) {
    let rules = schema.x_kubernetes_validations.iter().flatten();
    let of_labels = rules.into_iter().any(|rule| rule.rule == rules::values_of_labels().rule);
    if let (true, Some(JSONSchemaPropsOrBool::Schema(value))) = (of_labels, &mut schema.additional_properties) {
        value.max_length = Some(63);
    }
}

fn resources(schema: &mut JSONSchemaProps) {
    add(
        schema,
        [
            Rule::new("!has(self.claims)")
                .message("there are no devices to claim: leave claims out, and write requests and limits"),
            // A guard by isQuantity would take twice as much of the budget: what is none is refused by its own rule, too.
            Rule::new(
                "!has(self.requests) || !has(self.limits) || ['cpu', 'memory', 'ephemeral-storage'].all(name, \
                 !(name in self.requests) || !(name in self.limits) \
                 || quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) <= 0)",
            )
            .message("a request is larger than its limit: write a smaller request or a larger limit"),
            Rule::new(
                "!has(self.requests) || self.requests.all(name, name in ['cpu', 'memory', 'ephemeral-storage'] \
                 || (has(self.limits) && name in self.limits && self.requests[name] == self.limits[name]))",
            )
            .message("devices are not shared: write the same number into requests and limits, or into limits alone"),
        ],
    );
    for name in ["requests", "limits"] {
        let Some(map) = schema.properties.as_mut().and_then(|properties| properties.get_mut(name)) else { continue };
        map.max_properties = Some(RESOURCES);
        add(
            map,
            [
                Rule::new(
                    "self.all(name, type(self[name]) == int ? self[name] >= 0 \
                 : isQuantity(self[name]) && !self[name].startsWith('-'))",
                )
                .message("not a quantity: write a number with a unit and without spaces, such as 500m or 512Mi"),
                rules::names_of_resources(),
                // For isInteger there is no room in the budget; a share such as 1.5 is refused with the pod, in a condition.
                Rule::new(
                    "self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'] || type(self[name]) == int \
                 || !(self[name].endsWith('m') || self[name].endsWith('u') || self[name].endsWith('n') \
                 || self[name].startsWith('0.') || self[name].startsWith('.')))",
                )
                .message("devices are not shared: write a whole number of them"),
            ],
        );
        if let Some(JSONSchemaPropsOrBool::Schema(quantity)) = &mut map.additional_properties {
            quantity.description = Some("A number with a unit, such as `500m` or `512Mi`.".into());
        }
    }
}

fn toleration(schema: &mut JSONSchemaProps) {
    bound_texts(schema, &[("effect", 16), ("key", LONGEST_KEY), ("operator", 16), ("value", 63)]);
    add(schema, [
        Rule::new("!has(self.operator) || self.operator in ['', 'Exists', 'Equal']")
            .message("not an operator: write Exists or Equal"),
        Rule::new("!has(self.effect) || self.effect in ['', 'NoSchedule', 'PreferNoSchedule', 'NoExecute']")
            .message("not an effect: write NoSchedule, PreferNoSchedule or NoExecute, or leave effect out for all of them"),
        Rule::new("(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')")
            .message("without a key all taints are tolerated: write operator: Exists for that, or the key of a taint"),
        rules::key_of_label_or_nothing("has(self.key) ? self.key : ''", "a taint"),
        Rule::new("!has(self.value) || self.value == '' || !has(self.operator) || self.operator != 'Exists'")
            .message("the operator Exists looks at no value: leave value out, or write operator: Equal"),
        rules::value_of_label("has(self.value) ? self.value : ''"),
        Rule::new("!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')")
            .message("tolerationSeconds is for the effect NoExecute alone: write effect: NoExecute, or leave it out"),
    ]);
}

fn spread(schema: &mut JSONSchemaProps) {
    bound_texts(
        schema,
        &[
            ("topologyKey", LONGEST_KEY),
            ("whenUnsatisfiable", 16),
            ("nodeAffinityPolicy", 16),
            ("nodeTaintsPolicy", 16),
        ],
    );
    add(
        schema,
        [
            Rule::new("self.maxSkew >= 1").message("write a maxSkew of 1 or more"),
            Rule::new("!has(self.minDomains) || (self.minDomains >= 1 && self.whenUnsatisfiable == 'DoNotSchedule')")
                .message("minDomains is at least 1, and for whenUnsatisfiable: DoNotSchedule alone"),
            Rule::new("self.topologyKey != ''")
                .message("write the label of nodes to spread over, such as kubernetes.io/hostname"),
            rules::key_of_label_or_nothing("self.topologyKey", "a label of nodes"),
            Rule::new("self.whenUnsatisfiable in ['DoNotSchedule', 'ScheduleAnyway']")
                .message("write whenUnsatisfiable: DoNotSchedule or ScheduleAnyway"),
            Rule::new("!has(self.nodeAffinityPolicy) || self.nodeAffinityPolicy in ['Honor', 'Ignore']")
                .message("write nodeAffinityPolicy: Honor or Ignore"),
            Rule::new("!has(self.nodeTaintsPolicy) || self.nodeTaintsPolicy in ['Honor', 'Ignore']")
                .message("write nodeTaintsPolicy: Honor or Ignore"),
        ],
    );
}

fn bound_texts(schema: &mut JSONSchemaProps, longest: &[(&str, i64)]) {
    let Some(properties) = &mut schema.properties else { return };
    for (name, length) in longest {
        if let Some(property) = properties.get_mut(*name) {
            property.max_length = Some(property.max_length.unwrap_or(*length));
        }
    }
}

fn add<const N: usize>(schema: &mut JSONSchemaProps, rules: [Rule; N]) {
    let all = schema.x_kubernetes_validations.get_or_insert_default();
    for Rule { rule, message, .. } in rules {
        let message = match message {
            Some(kube::core::Message::Message(message)) => Some(message),
            _ => None,
        };
        // The field may have it from its own type.
        if !all.iter().any(|present| present.rule == rule) {
            all.push(ValidationRule { rule, message, ..ValidationRule::default() });
        }
    }
}
