//! What a Pipeline can be Ready without, and somebody should look after: the room on its volumes, the records that
//! Kafka deletes too early, and others on its topics.

use jiff::Timestamp;
use tailrace_crds::pipeline::{VolumeStatus, VolumeUse};

use super::Finding;
use crate::{
    labels::Component,
    pipeline::{
        observe::Observed,
        reasons,
        volumes::{self, Standing, Volume},
    },
};

/// From so much of a volume in use on, its owner is warned.
const ALMOST_FULL_PERCENT: i64 = 80;

/// A Pipeline works on volumes that are too small, as long as it can.
pub fn storage(observed: &Observed) -> Finding {
    if observed.volumes.is_empty() {
        return Finding::disabled("neither Kafka nor the database has a volume of this Pipeline");
    }
    let troubles = observed.volumes.iter().filter_map(|volume| match &volume.standing {
        Standing::Unusable(why) => Some((0, reasons::UNUSABLE, why.clone())),
        Standing::TooSmall(why) => Some((2, reasons::TOO_SMALL, why.clone())),
        Standing::Expanding(how) => Some((3, reasons::EXPANDING, how.clone())),
        Standing::Good => None,
    });
    let full =
        observed.volumes.iter().filter_map(|volume| Some((1, reasons::ALMOST_FULL, almost_full(volume, observed)?)));
    let mut troubles: Vec<_> = troubles.chain(full).collect();
    troubles.sort();
    // The reason is that of the worst, and all are named.
    let finding = match troubles.first() {
        Some((_, reason, _)) => {
            let messages: Vec<_> = troubles.iter().map(|(_, _, message)| message.as_str()).collect();
            Finding::new(false, *reason, messages.join("; "))
        }
        None => bound(&observed.volumes),
    };
    Finding { optional: true, ..finding }
}

fn bound(volumes: &[Volume]) -> Finding {
    let capacity = |volume: &Volume| Some(volumes::capacity(volume.claim.as_ref()?)?.0.clone());
    match volumes.iter().find(|volume| capacity(volume).is_none()) {
        Some(volume) => {
            let message = format!("PersistentVolumeClaim {} is not bound to a volume yet", volume.name);
            Finding::new(false, reasons::STARTING, message)
        }
        None => {
            let sizes = volumes.iter().filter_map(|volume| Some((volume.component.as_str(), capacity(volume)?)));
            let sizes: Vec<_> = sizes.map(|(component, size)| format!("{component} has {size}")).collect();
            Finding::new(true, reasons::BOUND, sizes.join(", "))
        }
    }
}

fn almost_full(volume: &Volume, observed: &Observed) -> Option<String> {
    let VolumeUse { used_bytes, capacity_bytes } = observed.use_of_volume(volume.component)?;
    let capacity = capacity_bytes.or(volume.capacity_bytes()).filter(|capacity| *capacity > 0)?;
    let percent = used_bytes.saturating_mul(100) / capacity;
    let advice = match volume.component {
        Component::Kafka => "raise spec.kafka.managed.storage.size",
        _ => "raise spec.mongodb.managed.storage.size, set spec.mongodb.retention, or delete documents",
    };
    let name = &volume.name;
    (percent >= ALMOST_FULL_PERCENT)
        .then(|| format!("the volume of PersistentVolumeClaim {name} is {percent} % full: {advice}"))
}

/// What the status says of a volume.
pub fn volume(volume: &Volume, observed: &Observed) -> VolumeStatus {
    let told = observed.use_of_volume(volume.component);
    let capacity = told.and_then(|told| told.capacity_bytes).or(volume.capacity_bytes());
    VolumeStatus {
        claim: volume.name.clone(),
        component: volume.component.as_str().into(),
        capacity_bytes: volume.capacity_bytes(),
        used_bytes: told.map(|told| told.used_bytes),
        free_bytes: told.and_then(|told| Some((capacity? - told.used_bytes).max(0))),
    }
}

/// Whether Kafka has kept what was still to be read.
pub fn records(observed: &Observed, now: Timestamp) -> Finding {
    let finding = match observed.gap() {
        None => Finding::new(true, reasons::NOTHING_SKIPPED, "Kafka has deleted nothing that was still to be read"),
        Some(gap) => {
            let old = gap.is_old(now);
            let message = format!(
                "Kafka deleted {} records before they were read, the last ones at {:.0}: lower the rate, or give the \
                 topics more room",
                gap.records, gap.last
            );
            Finding::new(old, if old { reasons::NOTHING_SKIPPED } else { reasons::RECORDS_SKIPPED }, message)
        }
    };
    Finding { optional: true, ..finding }
}

/// Whether the topics are this Pipeline's alone.
pub fn exclusive(observed: &Observed) -> Finding {
    let finding = if observed.neighbours.is_empty() {
        Finding::new(true, reasons::NOT_SHARED, "no other Pipeline that the operator watches uses these topics")
    } else {
        let message = format!(
            "{}: each classifies and archives the images of the other, too; give each Pipeline topics of its own",
            observed.neighbours.join("; ")
        );
        Finding::new(false, reasons::SHARED, message)
    };
    Finding { optional: true, ..finding }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PersistentVolumeClaim;
    use serde_json::json;

    use super::*;

    fn observed(component: Component, capacity: &str, told: &VolumeUse) -> Observed {
        let claim: PersistentVolumeClaim =
            serde_json::from_value(json!({ "metadata": {}, "status": { "capacity": { "storage": capacity } } }))
                .unwrap();
        let worker = json!({ "component": "archive", "ready": true, "reason": "Ready", "message": "",
            "since": "2026-01-01T00:00:00Z", "volumes": { component.as_str(): told } });
        Observed {
            volumes: vec![Volume { component, name: "data".into(), claim: Some(claim), standing: Standing::Good }],
            workers: vec![serde_json::from_value(worker).unwrap()],
            ..Observed::default()
        }
    }

    #[test]
    fn from_80_percent_on_a_volume_is_almost_full() {
        const GIBIBYTE: i64 = 1 << 30;
        let of_claim =
            |used_bytes| observed(Component::Database, "10Gi", &VolumeUse { used_bytes, capacity_bytes: None });
        assert_eq!(storage(&of_claim(8 * GIBIBYTE - 1)).reason, reasons::BOUND);
        let full = storage(&of_claim(8 * GIBIBYTE));
        assert_eq!(full.reason, reasons::ALMOST_FULL);
        assert!(
            full.message.contains("is 80 % full") && full.message.contains("spec.mongodb.retention"),
            "{}",
            full.message
        );
        assert!(full.optional, "it works on");
        // What the server says of its file system is nearer to the truth than the claim.
        let of_server = VolumeUse { used_bytes: 9 * GIBIBYTE, capacity_bytes: Some(100 * GIBIBYTE) };
        let seen = observed(Component::Kafka, "10Gi", &of_server);
        assert_eq!(storage(&seen).reason, reasons::BOUND);
        assert_eq!(volume(&seen.volumes[0], &seen).free_bytes, Some(91 * GIBIBYTE));
    }

    #[test]
    fn every_trouble_of_the_volumes_is_named_and_the_worst_is_the_reason() {
        let mut seen = observed(Component::Database, "10Gi", &VolumeUse { used_bytes: 9 << 30, capacity_bytes: None });
        let of_kafka = |standing| Volume { component: Component::Kafka, name: "kafka".into(), claim: None, standing };
        seen.volumes.push(of_kafka(Standing::TooSmall("kafka cannot grow".into())));
        let storage = storage(&seen);
        assert_eq!(storage.reason, reasons::ALMOST_FULL);
        assert!(storage.message.contains("is 90 % full"), "{}", storage.message);
        assert!(storage.message.ends_with("; kafka cannot grow"), "{}", storage.message);
    }

    #[test]
    fn nothing_is_known_of_a_volume_that_nobody_has_asked() {
        let mut seen = observed(Component::Kafka, "10Gi", &VolumeUse { used_bytes: 1, capacity_bytes: None });
        seen.workers.clear();
        let status = volume(&seen.volumes[0], &seen);
        assert_eq!((status.capacity_bytes, status.used_bytes, status.free_bytes), (Some(10 << 30), None, None));
    }

    #[test]
    fn a_gap_is_told_for_an_hour_and_its_count_stays() {
        let at = |time: &str| -> Timestamp { format!("2026-01-01T{time}Z").parse().unwrap() };
        let mut seen = observed(Component::Kafka, "10Gi", &VolumeUse { used_bytes: 1, capacity_bytes: None });
        assert_eq!(records(&seen, at("12:00:00")).reason, reasons::NOTHING_SKIPPED);
        let skipped = json!({ "records": 1204, "lastTime": "2026-01-01T12:00:00Z" });
        seen.workers[0].skipped = serde_json::from_value(skipped).unwrap();
        let lost = records(&seen, at("12:30:00"));
        assert_eq!(lost.reason, reasons::RECORDS_SKIPPED);
        assert!(
            lost.message.contains("1204 records") && lost.message.contains("2026-01-01T12:00:00Z"),
            "{}",
            lost.message
        );
        assert_eq!(records(&seen, at("13:00:00")).reason, reasons::NOTHING_SKIPPED);
    }
}
