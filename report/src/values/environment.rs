use std::collections::BTreeMap;

/// What the numbers were measured with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Container images, by part: of the producers and of the Pipeline.
    pub images: BTreeMap<String, String>,
    /// The model that answered.
    pub model: Option<Model>,
    /// The node of each producer, in the order of the producers.
    pub producer_nodes: Vec<String>,
    /// Nodes on which both producers and parts of the Pipeline ran.
    pub shared_nodes: Vec<String>,
    /// Requests and limits of the pods, by part.
    pub resources: BTreeMap<String, String>,
    /// Annotations of the pods, by part.
    pub annotations: BTreeMap<String, BTreeMap<String, String>>,
    /// The Kafka client settings of the producers.
    pub client_settings: BTreeMap<String, String>,
}

/// A model and what it consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Such as `resnet20`.
    pub name: String,
    /// The SHA-256 of its file, in hexadecimal.
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
