//! The points of a sweep, and in which order they are measured.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One LoadTest for each point and repetition, at most 200 in all.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(
    validation = Rule::new("has(self.producers) != has(self.ratesPerProducer)")
        .message("exactly one of producers and ratesPerProducer must be set: the list of what to compare"),
    validation = Rule::new("(has(self.producers) ? size(self.producers) : has(self.ratesPerProducer) ? size(self.ratesPerProducer) : 0) * self.repetitions <= 200")
        .message("the points times the repetitions are more than 200 LoadTests: write fewer of them, or several Experiments")
)]
#[serde(rename_all = "camelCase")]
pub struct Sweep {
    /// The numbers of producers to compare, each from 1 to 100, at most 50 of them. Exactly one of `producers` and
    /// `ratesPerProducer` must be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(
        validation = Rule::new("self.all(producers, producers >= 1 && producers <= 100)")
            .message("write numbers of producers from 1 to 100"),
        validation = Rule::new("self.all(producers, self.exists_one(other, other == producers))")
            .message("write each number of producers once: repetitions is for measuring it several times")
    )]
    pub producers: Option<Vec<i32>>,
    /// The rates to compare, in images per second of each producer, each from 1 to 10000, at most 50 of them. They require an
    /// open load.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(
        validation = Rule::new("self.all(rate, rate >= 1 && rate <= 10000)")
            .message("write rates from 1 to 10000 images a second for each producer"),
        validation = Rule::new("self.all(rate, self.exists_one(other, other == rate))")
            .message("write each rate once: repetitions is for measuring it several times")
    )]
    pub rates_per_producer: Option<Vec<i32>>,
    /// The number of times each point is measured, from 1 to 50. Defaults to 1.
    #[serde(default = "once")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 50").message("write a number of repetitions from 1 to 50"))]
    pub repetitions: i32,
    /// The order of the points. `Listed`: the order of the list, which is then repeated; or `Shuffled`: every repetition has
    /// each point once, in a new random order, so that drift over time is not mistaken for an effect of the points. Defaults
    /// to Shuffled with more than one repetition, and to Listed with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The seed of the order Shuffled: the same seed gives the same order. 0 or more; defaults to 42.
    #[serde(default = "seed")]
    #[x_kube(validation = Rule::new("self >= 0").message("write a seed of 0 or more"))]
    pub seed: i64,
    /// Ends the Experiment at the first LoadTest that does not succeed. Otherwise the remaining LoadTests are still created,
    /// and the Experiment fails at the end. Defaults to false.
    #[serde(default)]
    pub stop_on_failure: bool,
}

/// The order in which the points of a sweep are measured.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The order of the list.
    Listed,
    /// A new random order for every repetition.
    Shuffled,
}

impl Sweep {
    /// The order that is written, or the one that goes with the repetitions.
    pub fn order(&self) -> Order {
        let usual = if self.repetitions > 1 { Order::Shuffled } else { Order::Listed };
        self.order.unwrap_or(usual)
    }
}

fn once() -> i32 {
    1
}

fn seed() -> i64 {
    42
}
