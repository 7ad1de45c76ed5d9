//! When images are sent.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::{self, Duration};

/// Exactly one of `open` and `closed`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("has(self.open) != has(self.closed)")
    .message("exactly one of open and closed is wanted: open sends on a schedule, closed sends the next image when an answer has come"))]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Images are sent on a schedule that does not wait for the Pipeline, as cameras do. Latency counts from the scheduled time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenLoad>,
    /// Each producer has a fixed number of images outstanding and sends the next one when an answer is there.
    /// Such a load slows down with the Pipeline and so hides waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedLoad>,
}

/// A rate that does not depend on the answers.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OpenLoad {
    /// Images a second of each producer, from 1 to 10000.
    #[x_kube(validation = Rule::new("self >= 1 && self <= 10000").message("write a rate from 1 to 10000 images a second for each producer"))]
    pub rate_per_producer: i32,
    /// How the images of a producer follow each other: `Constant`, at even intervals, or `Poisson`, at random.
    #[serde(default)]
    pub arrivals: Arrivals,
}

/// How images follow each other.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Arrivals {
    /// At even intervals.
    #[default]
    Constant,
    /// At random and independently of each other, as from many cameras together: a Poisson process with the rate as its
    /// mean. The times follow from `dataset.seed`.
    Poisson,
}

/// Images outstanding a producer.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClosedLoad {
    /// How many images of each producer wait for their answers at the same time, from 1 to 1000. By default 1.
    #[serde(default = "one_image")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 1000").message("write a number of images from 1 to 1000 that each producer has outstanding"))]
    pub outstanding: i32,
    /// How long a producer waits from an answer to the image that follows it, at most 1h. By default 0s.
    #[serde(default = "no_time")]
    #[x_kube(validation = duration::at_most("1h", "the think time is too long: write a duration of at most 1h"))]
    pub think_time: Duration,
}

impl Default for ClosedLoad {
    fn default() -> Self {
        Self { outstanding: one_image(), think_time: no_time() }
    }
}

fn one_image() -> i32 {
    1
}

fn no_time() -> Duration {
    Duration::from_secs(0)
}
