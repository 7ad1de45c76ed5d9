//! Affinity and selectors, checked as the API server checks pods. Where a schema can say it no rule does: that costs
//! nothing of the budget.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::core::Rule;

use super::{TERMS, VALUES, add, has};
use crate::rules::{self, LABEL_KEY, LABEL_VALUE, LONGEST_KEY, SUBDOMAIN};

const OF_LABELS: &[&str] = &["In", "NotIn", "Exists", "DoesNotExist"];
const OF_NODES: &[&str] = &["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];

/// Adds what is checked of this type, if it is one of them.
pub fn constrain(schema: &mut JSONSchemaProps) {
    if has(schema, &["matchExpressions", "matchLabels"]) {
        label_selector(schema);
    } else if has(schema, &["matchExpressions", "matchFields"]) {
        node_selector_term(schema);
    } else if has(schema, &["labelSelector", "namespaces", "topologyKey"]) {
        pod_affinity_term(schema);
    } else if has(schema, &["nodeSelectorTerms"]) {
        with(schema, "nodeSelectorTerms", |terms| {
            (terms.min_items, terms.max_items) = (Some(1), Some(TERMS));
        });
    } else if has(schema, &["weight"]) {
        with(schema, "weight", |weight| {
            (weight.minimum, weight.maximum) = (Some(1.0), Some(100.0));
        });
    }
    for list in ["preferredDuringSchedulingIgnoredDuringExecution", "requiredDuringSchedulingIgnoredDuringExecution"] {
        with(schema, list, |terms| {
            if terms.items.is_some() {
                terms.max_items = Some(TERMS);
            }
        });
    }
    with(schema, "matchLabelKeys", keys);
    with(schema, "mismatchLabelKeys", keys);
}

fn label_selector(schema: &mut JSONSchemaProps) {
    with(schema, "matchExpressions", |list| {
        requirements(list, OF_LABELS, |requirement| {
            add(
                requirement,
                [Rule::new("(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)")
                    .message("write values for In and NotIn, and none for Exists and DoesNotExist")],
            );
        });
    });
    with(schema, "matchLabels", |labels| {
        labels.max_properties = Some(TERMS);
        if let Some(JSONSchemaPropsOrBool::Schema(value)) = &mut labels.additional_properties {
            label_value(value);
        }
        add(labels, [rules::keys_of_labels("a label")]);
    });
}

fn node_selector_term(schema: &mut JSONSchemaProps) {
    with(schema, "matchExpressions", |list| {
        requirements(list, OF_NODES, |requirement| {
            add(
                requirement,
                [Rule::new(
                    "self.operator in ['Exists', 'DoesNotExist'] ? !has(self.values) || size(self.values) == 0 \
                 : has(self.values) && size(self.values) > 0 \
                 && (self.operator in ['In', 'NotIn'] || size(self.values) == 1)",
                )
                .message("write values for In and NotIn, one for Gt and Lt, and none for Exists and DoesNotExist")],
            );
        });
    });
    with(schema, "matchFields", |list| {
        requirements(list, &["In", "NotIn"], |requirement| {
            with(requirement, "key", |key| {
                *key = JSONSchemaProps { enum_: Some(words(&["metadata.name"])), ..text() };
            });
            with(requirement, "values", |values| {
                (values.min_items, values.max_items) = (Some(1), Some(1));
                items(values, |name| {
                    *name =
                        JSONSchemaProps { max_length: Some(253), pattern: Some(format!("^{SUBDOMAIN}$")), ..text() };
                });
            });
            requirement.required.get_or_insert_default().push("values".into());
        });
    });
}

fn pod_affinity_term(schema: &mut JSONSchemaProps) {
    with(schema, "topologyKey", label_key);
    with(schema, "namespaces", |namespaces| {
        namespaces.max_items = Some(VALUES);
        items(namespaces, |name| {
            name.pattern = Some("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$".into());
        });
    });
    add(
        schema,
        [Rule::new("(!has(self.matchLabelKeys) && !has(self.mismatchLabelKeys)) || has(self.labelSelector)")
            .message("write a labelSelector, or leave matchLabelKeys and mismatchLabelKeys out")],
    );
}

fn requirements(list: &mut JSONSchemaProps, operators: &[&str], more: impl FnOnce(&mut JSONSchemaProps)) {
    list.max_items = Some(TERMS);
    items(list, |requirement| {
        with(requirement, "key", label_key);
        with(requirement, "operator", |operator| operator.enum_ = Some(words(operators)));
        with(requirement, "values", |values| {
            values.max_items = Some(VALUES);
            items(values, label_value);
        });
        more(requirement);
    });
}

fn keys(list: &mut JSONSchemaProps) {
    list.max_items = Some(TERMS);
    items(list, label_key);
}

fn label_key(text: &mut JSONSchemaProps) {
    (text.max_length, text.pattern) = (Some(LONGEST_KEY), Some(format!("^{LABEL_KEY}$")));
}

fn label_value(text: &mut JSONSchemaProps) {
    text.pattern = Some(format!("^{LABEL_VALUE}$"));
}

fn text() -> JSONSchemaProps {
    JSONSchemaProps { type_: Some("string".into()), ..JSONSchemaProps::default() }
}

fn words(words: &[&str]) -> Vec<JSON> {
    words.iter().map(|word| JSON((*word).into())).collect()
}

fn with(schema: &mut JSONSchemaProps, name: &str, change: impl FnOnce(&mut JSONSchemaProps)) {
    if let Some(property) = schema.properties.as_mut().and_then(|properties| properties.get_mut(name)) {
        change(property);
    }
}

fn items(schema: &mut JSONSchemaProps, change: impl FnOnce(&mut JSONSchemaProps)) {
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        change(items);
    }
}
