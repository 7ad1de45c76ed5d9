//! The images of a LoadTest: the flags that name them, and the volume that has them.

use k8s_openapi::api::core::v1::{EnvVar, PersistentVolumeClaimVolumeSource, Volume, VolumeMount};
use tailrace_crds::load_test::{Dataset, DatasetSource, DatasetVolume, Encoding};

use super::value;

const VOLUME: &str = "images";
const MOUNT_PATH: &str = "/images";

/// The flags, as environment variables. `limit` is what the images may take of the producer's memory, in bytes.
pub fn environment(dataset: &Dataset, limit: u64) -> Vec<EnvVar> {
    let mut variables = vec![value("TAILRACE_SEED", dataset.seed), value("TAILRACE_DATASET_LIMIT", limit)];
    if let Some(volume) = volume_of(dataset) {
        variables.push(value("TAILRACE_DATASET_SOURCE", "folder"));
        variables.push(value("TAILRACE_DATASET", folder(volume)));
    }
    variables.extend(dataset.encoding.map(|encoding| value("TAILRACE_ENCODING", name(encoding))));
    variables.extend(dataset.jpeg_quality.map(|quality| value("TAILRACE_JPEG_QUALITY", quality)));
    variables
}

/// The volume of the images, if they come from one. The producers may not write to it, and as a volume that is mounted
/// read-only it keeps the owners of its files, too.
pub fn volume(dataset: &Dataset) -> Option<Volume> {
    volume_of(dataset).map(|volume| Volume {
        name: VOLUME.into(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: volume.claim_name.clone(),
            read_only: Some(true),
        }),
        ..Volume::default()
    })
}

/// Where a producer finds them.
pub fn mount(dataset: &Dataset) -> Option<VolumeMount> {
    volume_of(dataset).map(|_| VolumeMount {
        name: VOLUME.into(),
        mount_path: MOUNT_PATH.into(),
        read_only: Some(true),
        ..VolumeMount::default()
    })
}

fn volume_of(dataset: &Dataset) -> Option<&DatasetVolume> {
    dataset.volume.as_ref().filter(|_| dataset.source == DatasetSource::Volume)
}

fn folder(volume: &DatasetVolume) -> String {
    if volume.path.is_empty() { MOUNT_PATH.into() } else { format!("{MOUNT_PATH}/{}", volume.path) }
}

fn name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Png => "png",
        Encoding::Jpeg => "jpeg",
        Encoding::Raw => "raw",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dataset(of_spec: serde_json::Value) -> Dataset {
        serde_json::from_value(of_spec).unwrap()
    }

    fn told(of_spec: serde_json::Value) -> Vec<String> {
        let variables = environment(&dataset(of_spec), 1000);
        variables.into_iter().map(|variable| format!("{}={}", variable.name, variable.value.unwrap())).collect()
    }

    #[test]
    fn producers_are_told_which_images_to_send_as_what() {
        assert_eq!(told(json!({})), ["TAILRACE_SEED=42", "TAILRACE_DATASET_LIMIT=1000"]);
        assert_eq!(
            told(json!({ "encoding": "Jpeg", "jpegQuality": 40, "seed": 7 })),
            ["TAILRACE_SEED=7", "TAILRACE_DATASET_LIMIT=1000", "TAILRACE_ENCODING=jpeg", "TAILRACE_JPEG_QUALITY=40"]
        );
        let own = told(json!({ "source": "Volume", "volume": { "claimName": "photos", "path": "a/b" } }));
        assert_eq!(own[2..], ["TAILRACE_DATASET_SOURCE=folder", "TAILRACE_DATASET=/images/a/b"]);
        let whole = told(json!({ "source": "Volume", "volume": { "claimName": "photos" }, "encoding": "Raw" }));
        assert_eq!(whole[3..], ["TAILRACE_DATASET=/images", "TAILRACE_ENCODING=raw"]);
    }

    #[test]
    fn a_volume_is_mounted_read_only() {
        let own = dataset(json!({ "source": "Volume", "volume": { "claimName": "photos", "path": "a" } }));
        let claim = volume(&own).unwrap().persistent_volume_claim.unwrap();
        assert_eq!((claim.claim_name.as_str(), claim.read_only), ("photos", Some(true)));
        let mount_of_own = mount(&own).unwrap();
        assert_eq!((mount_of_own.mount_path.as_str(), mount_of_own.read_only), ("/images", Some(true)));
        assert_eq!(volume(&own).unwrap().name, mount_of_own.name);
        let test_set = dataset(json!({}));
        assert_eq!((volume(&test_set), mount(&test_set)), (None, None));
    }
}
