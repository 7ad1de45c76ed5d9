//! When images are sent.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use tailrace_measure::load::{self, Arrivals};

use crate::duration::{self, Duration};

/// Exactly one of `open` and `closed` must be set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("has(self.open) != has(self.closed)")
    .message("exactly one of open and closed must be set: open sends on a schedule, closed sends the next image when an answer has come"))]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Sends images on a schedule that does not wait for the Pipeline, as cameras do. Latency is measured from the scheduled
    /// time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenLoad>,
    /// Each producer has a fixed number of images outstanding and sends the next one when it receives an answer. Such a load
    /// slows down with the Pipeline and therefore hides queueing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedLoad>,
}

/// A rate that does not depend on the answers.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OpenLoad {
    /// The rate of each producer in images per second, from 1 to 10000.
    #[x_kube(validation = Rule::new("self >= 1 && self <= 10000").message("write a rate from 1 to 10000 images a second for each producer"))]
    pub rate_per_producer: i32,
    /// The distribution of the times between a producer's images: `Constant`, at even intervals, or `Poisson`, at random.
    /// Defaults to Constant.
    #[serde(default)]
    pub arrivals: Arrivals,
}

impl Load {
    /// The load of one producer. The schema admits no negative numbers.
    pub fn get(&self) -> load::Load {
        let count = |value: i32| value.max(0).unsigned_abs();
        match (&self.open, &self.closed) {
            (Some(OpenLoad { rate_per_producer, arrivals }), _) => {
                load::Load::Open { rate_per_producer: count(*rate_per_producer), arrivals: *arrivals }
            }
            (None, closed) => {
                let ClosedLoad { outstanding, think_time } = closed.clone().unwrap_or_default();
                load::Load::Closed { outstanding: count(outstanding), think_time: think_time.get() }
            }
        }
    }
}

/// Images outstanding a producer.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClosedLoad {
    /// The number of images that each producer has outstanding, from 1 to 1000. Defaults to 1.
    #[serde(default = "one_image")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 1000").message("write a number of images from 1 to 1000 that each producer has outstanding"))]
    pub outstanding: i32,
    /// How long a producer waits between an answer and the next image, a duration of at most 1h. Defaults to 0s.
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
