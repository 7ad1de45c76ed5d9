//! How a running test goes.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tailrace_crds::{
    load_test::{Display, LoadTestStatus, Progress},
    producer_report::ProducerProgress,
};
use tailrace_measure::{accounting::Counts, display, histogram::LatencyHistogram, signed::signed, summary::summarize};

use super::{decide::PROGRESS_INTERVAL, observation::Observation};

/// Each write of the status is seen by the operator's own watch, so without a time in it progress would chase itself.
pub fn show(seen: &Observation, status: &mut LoadTestStatus, start_time: Timestamp) {
    let last = status.progress.as_ref().map(|progress| progress.time.0);
    if last.is_some_and(|last| seen.since(last) < PROGRESS_INTERVAL) {
        keep_display(seen, status);
        return;
    }
    let reports = || seen.reports.iter().filter_map(|report| report.status.as_ref()?.progress.as_ref());
    let Some(messages) = sum(reports()) else { return };
    let recent = Recent::of(reports());
    status.result.messages = Some(messages);
    status.progress = Some(Progress {
        time: MicroTime(seen.now),
        seconds_left: seconds_left(seen, start_time),
        p95_micros: recent.p95().map(signed),
        rate: Some(format!("{:.1}", recent.per_second)),
    });
    let p95 = recent.p95().map(|p95| format!("~{}", display::micros(p95)));
    status.display.get_or_insert_default().p95 = p95;
}

/// A status that is made anew has no percentile in its columns.
fn keep_display(seen: &Observation, status: &mut LoadTestStatus) {
    let before = seen.status().display.unwrap_or_default();
    status.display = status.display.take().map(|display| Display { p95: before.p95, ..display });
}

/// The images so far, of warm-up and measurement together.
fn sum<'a>(reports: impl Iterator<Item = &'a ProducerProgress>) -> Option<Counts> {
    let mut sum = None;
    for report in reports {
        *sum.get_or_insert_with(Counts::default) += report.messages;
    }
    sum
}

/// The answers of the last few seconds.
struct Recent {
    latency: LatencyHistogram,
    per_second: f64,
}

impl Recent {
    /// Each producer has a last few seconds of its own. What cannot be read is left out: the result will say so.
    fn of<'a>(reports: impl Iterator<Item = &'a ProducerProgress>) -> Self {
        let mut recent = Self { latency: LatencyHistogram::new(), per_second: 0.0 };
        for report in reports {
            let Ok(latency) = LatencyHistogram::decode(&report.recent_latency) else { continue };
            recent.latency.add(&latency);
            recent.per_second += latency.count() as f64 * 1_000.0 / report.recent_millis.max(1) as f64;
        }
        recent
    }

    fn p95(&self) -> Option<u64> {
        summarize(&self.latency, self.latency.count()).p95
    }
}

/// Until the last image is sent.
fn seconds_left(seen: &Observation, start_time: Timestamp) -> i64 {
    let spec = &seen.load_test.spec;
    let length = spec.warmup.get() + spec.duration.get();
    let left = match &seen.status().abort_time {
        Some(_) => Duration::ZERO,
        None if start_time > seen.now => length,
        None => length.saturating_sub(seen.since(start_time)),
    };
    signed(left.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_test::fixtures::new_test;

    fn progress(sent: u64, micros: u64, millis: i64) -> Option<ProducerProgress> {
        let mut recent = LatencyHistogram::new();
        (0..sent).for_each(|_| recent.record(micros).unwrap());
        let messages = Counts { scheduled: sent, sent, ..Counts::default() };
        Some(ProducerProgress { messages, recent_latency: recent.encode().unwrap(), recent_millis: millis })
    }

    fn shown(seen: &Observation) -> LoadTestStatus {
        let mut status = LoadTestStatus::default();
        show(seen, &mut status, seen.now);
        status
    }

    #[test]
    fn progress_is_the_sum_of_what_the_producers_have_said_so_far() {
        let mut seen = new_test().with_pipeline().with_producers();
        assert_eq!(shown(&seen).progress, None);
        seen.report_mut(0).status.get_or_insert_default().progress = progress(30, 2_000, 2_000);
        assert_eq!(shown(&seen).result.messages.unwrap().sent, 30);
        seen.report_mut(1).status.get_or_insert_default().progress = progress(10, 50_000, 1_000);
        let status = shown(&seen);
        let progress = status.progress.unwrap();
        assert_eq!((status.result.messages.unwrap().sent, progress.rate.as_deref()), (40, Some("25.0")));
        assert_eq!((progress.p95_micros.map(|p95| p95 / 1_000), progress.seconds_left), (Some(50), 25));
        assert_eq!(status.display.unwrap().p95.as_deref(), Some("~50ms"));
    }
}
