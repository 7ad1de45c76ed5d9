//! The images that are sent.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// The images that are sent. All of them are read, checked and encoded before the start.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(
    validation = Rule::new("self.source != 'Volume' || has(self.volume)")
        .message("the source Volume needs the volume with the images: write volume: {claimName: NAME} with the name of a PersistentVolumeClaim"),
    validation = Rule::new("self.source == 'Volume' || !has(self.volume)")
        .message("a volume is for the source Volume alone: write source: Volume, or leave volume out"),
    validation = Rule::new("!has(self.jpegQuality) || (has(self.encoding) && self.encoding == 'Jpeg')")
        .message("a JPEG quality is for the encoding Jpeg alone: write encoding: Jpeg, or leave jpegQuality out")
)]
#[serde(rename_all = "camelCase")]
pub struct Dataset {
    /// Where the images come from. `Cifar10Test`: the 10,000 test images of CIFAR-10, 32 x 32 pixels each, with their labels.
    /// `Volume`: your own PNG or JPEG files on a PersistentVolumeClaim, of at most 2048 x 2048 pixels each. Defaults to
    /// Cifar10Test.
    #[serde(default)]
    pub source: DatasetSource,
    /// The volume with the images. Required for the source `Volume`, and only valid for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<DatasetVolume>,
    /// The encoding in which images are sent: `Png`, `Jpeg`, or `Raw`, which is 3072 bytes for 32 x 32 RGB pixels; larger
    /// images are scaled to that size in the same way as the classifier does. By default the files of a volume are sent
    /// unchanged, and CIFAR-10 as PNG.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// The JPEG quality, from 1 to 100, for the encoding `Jpeg`. Defaults to 75.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 100").message("write a JPEG quality from 1 to 100"))]
    pub jpeg_quality: Option<i32>,
    /// The seed of the order in which images are sent, and of Poisson arrivals: with the same seed and images, order and
    /// times are the same. 0 or more; defaults to 42.
    #[serde(default = "seed")]
    #[x_kube(validation = Rule::new("self >= 0").message("write a seed of 0 or more"))]
    pub seed: i64,
}

fn seed() -> i64 {
    42
}

impl Default for Dataset {
    fn default() -> Self {
        Self { source: DatasetSource::default(), volume: None, encoding: None, jpeg_quality: None, seed: seed() }
    }
}

/// Where the images come from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DatasetSource {
    /// The test set of CIFAR-10.
    #[default]
    Cifar10Test,
    /// The files of a PersistentVolumeClaim.
    Volume,
}

/// A folder of PNG or JPEG files on a PersistentVolumeClaim in the same namespace; the producers mount it read-only.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DatasetVolume {
    /// The name of the PersistentVolumeClaim. Where producers run on several nodes, all of them must be able to mount it:
    /// ReadOnlyMany or ReadWriteMany. The files must be readable by everybody, or by the user 65532.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::name_of("PersistentVolumeClaim"))]
    pub claim_name: String,
    /// The folder with the images inside the volume, such as `photos/test`; defaults to the whole volume. The first folder
    /// below it is the label of an image, such as `cat` in `cat/001.png`; images at the top level have no label, and their
    /// answers do not count for the accuracy. At most 100,000 images, which when encoded may take up to half of the
    /// producer's memory limit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::path_inside_a_volume())]
    pub path: String,
}

/// What is sent of an image.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A PNG file, without loss.
    Png,
    /// A JPEG file with a colour for every four pixels (4:2:0), as cameras make them.
    Jpeg,
    /// 3072 bytes: 32 x 32 pixels, row by row, each as red, green, blue.
    Raw,
}
