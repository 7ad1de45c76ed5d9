//! From the spec and the status of a LoadTest to a plain result.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::ResourceExt;
use tailrace_crds::{
    LoadTest,
    conditions::types,
    load_test::{self, DatasetSource, Encoding, LoadTestStatus},
};
use tailrace_measure::judgement::Verdict;
use tailrace_report::values::{Run, Validity};

use super::verdict::condition;

/// What the producers take where the spec says nothing.
const JPEG_QUALITY: i32 = 75;

/// The result without what lies in other objects.
pub fn run(load_test: &LoadTest, status: &LoadTestStatus, verdict: Verdict) -> Run {
    let spec = &load_test.spec;
    Run {
        name: load_test.name_any(),
        namespace: load_test.namespace(),
        pipeline: spec.pipeline_ref.name.clone(),
        load: spec.load.get(),
        producers: spec.producers.max(0).unsigned_abs(),
        dataset: dataset(&spec.dataset),
        warmup: spec.warmup.get(),
        duration: spec.duration.get(),
        drain_timeout: spec.drain_timeout.get(),
        started: status.start_time.as_ref().map(timestamp),
        finished: status.completion_time.as_ref().map(timestamp),
        verdict,
        message: status.message.clone().unwrap_or_default(),
        validity: validity(status),
        result: status.result.clone(),
        intervals: None,
        raw_log: vec![],
    }
}

/// As it was sent, what the spec leaves to its defaults included.
fn dataset(dataset: &load_test::Dataset) -> String {
    let (source, as_they_are) = match (dataset.source, &dataset.volume) {
        (DatasetSource::Cifar10Test, _) => ("CIFAR-10 test set".to_owned(), "PNG"),
        (DatasetSource::Volume, volume) => {
            let place = volume.as_ref().map(|volume| format!("{}/{}", volume.claim_name, volume.path));
            (format!("volume {}", place.unwrap_or_default()), "as its files are")
        }
    };
    let encoding = match dataset.encoding {
        None => as_they_are.to_owned(),
        Some(Encoding::Png) => "PNG".to_owned(),
        Some(Encoding::Jpeg) => format!("JPEG of quality {}", dataset.jpeg_quality.unwrap_or(JPEG_QUALITY)),
        Some(Encoding::Raw) => "raw pixels".to_owned(),
    };
    format!("{source}, {encoding}, seed {}", dataset.seed)
}

fn timestamp(at: &MicroTime) -> Timestamp {
    at.0
}

fn validity(status: &LoadTestStatus) -> Validity {
    let valid = condition(status, types::RESULTS_VALID);
    Validity {
        valid: valid.is_some_and(|valid| valid.status == "True"),
        reason: valid.map_or_else(|| "Unknown".to_owned(), |valid| valid.reason.clone()),
        message: valid.map_or_else(|| "there is no word about it".to_owned(), |valid| valid.message.clone()),
    }
}
