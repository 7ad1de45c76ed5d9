//! How the volume of a managed Kafka is shared by the partitions, so that the topics cannot fill it.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use tailrace_crds::pipeline::Topics;

use super::validate::Invalid;
use crate::quantity;

/// The share of the volume that the topics may take, in percent. The rest is for what is written between two looks of
/// the broker at its retention, and for its own metadata.
const SHARE_OF_TOPICS: u64 = 70;
/// The smallest segment that Kafka takes (`log.segment.bytes`).
const SMALLEST_SEGMENT: u64 = 1 << 20;
const LARGEST_SEGMENT: u64 = 128 << 20;
/// A partition holds what it retains and the segment being written; in segments of a quarter of its share that is at
/// most three quarters of it.
const SEGMENTS_A_PARTITION: u64 = 4;

/// The bounds of each partition, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicDisk {
    /// `log.segment.bytes`
    pub segment: u64,
    /// `log.retention.bytes`
    pub retention: u64,
}

/// Shares a volume of `size` among the partitions of all topics.
pub fn share(size: &Quantity, topics: &Topics) -> Result<TopicDisk, Invalid> {
    const DEAD_LETTER_PARTITIONS: u64 = 1;
    let volume =
        quantity::bytes(size).map_err(|source| Invalid::Size { field: "kafka.managed.storage.size", source })?;
    let partitions = u64::from(topics.images.partitions.unsigned_abs())
        + u64::from(topics.inferences.partitions.unsigned_abs())
        + DEAD_LETTER_PARTITIONS;

    let each = volume / 100 * SHARE_OF_TOPICS / partitions;
    let segment = (each / SEGMENTS_A_PARTITION).min(LARGEST_SEGMENT);
    if segment < SMALLEST_SEGMENT {
        let needed = partitions * SEGMENTS_A_PARTITION * SMALLEST_SEGMENT * 100 / SHARE_OF_TOPICS;
        let needed_mebibytes = (needed >> 20) + 1;
        return Err(Invalid::VolumeTooSmall { partitions, needed_mebibytes, size: size.0.clone() });
    }
    Ok(TopicDisk { segment, retention: each / 2 })
}

#[cfg(test)]
mod tests {
    use tailrace_crds::pipeline::{ImagesTopic, InferencesTopic};

    use super::*;

    fn topics(partitions: i32) -> Topics {
        Topics {
            images: ImagesTopic { partitions, ..ImagesTopic::default() },
            inferences: InferencesTopic { partitions, ..InferencesTopic::default() },
            ..Topics::default()
        }
    }

    #[test]
    fn all_partitions_at_their_fullest_leave_room_on_the_volume() {
        for (size, bytes) in [("256Mi", 256u64 << 20), ("2Gi", 2 << 30), ("1Ti", 1 << 40)] {
            let disk = share(&Quantity(size.into()), &topics(12)).unwrap();
            assert!(25 * (disk.retention + 2 * disk.segment) <= bytes * 7 / 10, "{size}: {disk:?}");
        }
    }

    #[test]
    fn more_partitions_than_the_volume_can_hold_are_refused() {
        let refused = share(&Quantity("2Gi".into()), &topics(1000)).unwrap_err();
        let message = refused.to_string();
        assert!(message.contains("2001 partitions need a volume of at least 11435Mi"), "{message}");
        share(&Quantity("11435Mi".into()), &topics(1000)).unwrap();
    }
}
