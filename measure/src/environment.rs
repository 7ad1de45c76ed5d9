//! What a result was measured with.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The environment in which a result was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Environment {
    /// Container images of the producers and of the components of the Pipeline.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    /// The model that answered the check of the Pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// The node of each producer, in the order of the producers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub producer_nodes: Vec<String>,
    /// Actual requests and limits of the pods of the producers and of the components of the Pipeline, such as
    /// `cpu 250m, memory 128Mi..512Mi`; different values are separated by semicolons. A container injected by something else,
    /// such as a service mesh, is listed as `producer/istio-proxy`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, String>,
    /// Annotations of the pods that matter for the measurement, by component: what a LimitRange changed, and whether a
    /// service mesh carries the traffic.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, BTreeMap<String, String>>,
    /// Nodes on which both producers and pods of the Pipeline ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared_nodes: Vec<String>,
    /// The Kafka client settings of the producers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub client_settings: BTreeMap<String, String>,
}

/// The model that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// The name of the model's file without its extension, such as `resnet20`.
    pub name: String,
    /// The SHA-256 digest of the model's file, in hexadecimal.
    pub sha256: String,
}

/// So many digits tell digests apart in a picture, as they do in `docker images`.
const DIGITS_OF_A_SHORT_DIGEST: usize = 12;

impl Environment {
    /// Images and model on one line each, with short digests: `inference, producer: worker@sha256:0123456789ab`. Parts of
    /// the same image are named together.
    pub fn in_short(&self) -> Vec<String> {
        let mut parts_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (part, image) in &self.images {
            parts_of.entry(image).or_default().push(part);
        }
        let images = parts_of.into_iter().map(|(image, parts)| format!("{}: {}", parts.join(", "), short(image)));
        let model = self.model.iter().map(|model| {
            let sha256: String = model.sha256.chars().take(DIGITS_OF_A_SHORT_DIGEST).collect();
            format!("model: {} sha256:{sha256}", model.name)
        });
        images.chain(model).collect()
    }
}

/// Without the registry, and with a short digest.
fn short(image: &str) -> String {
    let (name, digest) = image.split_once("@sha256:").map_or((image, None), |(name, digest)| (name, Some(digest)));
    let name = match name.split_once('/') {
        Some((registry, rest)) if registry.contains(['.', ':']) || registry == "localhost" => rest,
        _ => name,
    };
    match digest {
        Some(digest) => {
            let digest: String = digest.chars().take(DIGITS_OF_A_SHORT_DIGEST).collect();
            format!("{name}@sha256:{digest}")
        }
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_same_image_are_named_together_and_digests_are_short() {
        let digest = "0123456789abcdef".repeat(4);
        let worker = format!("registry.example:5000/tailrace/worker:0.1.0@sha256:{digest}");
        let images = [("producer", &worker), ("inference", &worker), ("kafka", &"apache/kafka:4.1.1".to_owned())];
        let environment = Environment {
            images: images.map(|(part, image)| (part.to_owned(), image.clone())).into(),
            model: Some(Model { name: "resnet20".into(), sha256: digest }),
            ..Environment::default()
        };
        assert_eq!(
            environment.in_short(),
            [
                "kafka: apache/kafka:4.1.1",
                "inference, producer: tailrace/worker:0.1.0@sha256:0123456789ab",
                "model: resnet20 sha256:0123456789ab",
            ]
        );
    }
}
