//! What a container asks for and may use where nobody says otherwise.

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};

use crate::{labels::Component, quantity};

/// The CPU and memory of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// CPU that it asks for, in thousandths, and so its share of a busy node; it may use more.
    pub cpu_request: u64,
    /// Memory that it asks for, in MiB.
    pub memory_request: u64,
    /// Memory that it may use, in MiB.
    pub memory_limit: u64,
}

impl Defaults {
    /// Those of a part. A Pipeline and three producers fit into three quarters of a CPU.
    pub const fn of(component: Component) -> Self {
        let (cpu_request, memory_request, memory_limit) = match component {
            Component::Kafka => (100, 768, 1024),
            Component::Database => (50, 256, 1024),
            Component::Inference | Component::InferenceServer => (200, 128, 512),
            Component::InferenceConsumer | Component::Archive => (50, 64, 256),
            Component::Topics | Component::Check | Component::Documents => (20, 32, 128),
            // CIFAR-10 takes at most 31 MB, as raw pixels.
            Component::Producer => (100, 128, 512),
        };
        Self { cpu_request, memory_request, memory_limit }
    }

    /// Without limits.
    pub fn requests(&self) -> ResourceRequirements {
        let cpu = Quantity(format!("{}m", self.cpu_request));
        let memory = quantity::mebibytes(self.memory_request);
        ResourceRequirements {
            requests: Some([("cpu".to_owned(), cpu), ("memory".to_owned(), memory)].into()),
            ..ResourceRequirements::default()
        }
    }
}
