//! From the producers' reports to the numbers in the status, and the judgement on them.

use std::time::SystemTime;

use tailrace_crds::{
    conditions::{reasons, warnings},
    load_test::{Display, Environment, Histograms, LoadTestStatus, TestResult, Warning},
};
use tailrace_measure::{
    histogram::EncodeError,
    intervals::{Files, Intervals},
    judgement::{Circumstances, Judgement, judge},
    producer_result::{ProducerResult, sum},
    signed::signed,
};

use super::{
    baseline, build, changes, columns::percentiles, cpu_limit::cpu_limit, environment::environment,
    observation::Observation,
};

/// What a ConfigMap takes is 1 MiB.
const MOST_FILE_BYTES: usize = 900 << 10;

/// Writes the numbers of `results` into `status`, and judges them. Returns the measurement second by second, too, if it
/// could be read.
pub fn measure(
    seen: &Observation,
    results: &[&ProducerResult],
    status: &mut LoadTestStatus,
) -> (Judgement, Option<Files>) {
    let sum = match sum(results) {
        Ok(sum) => sum,
        Err(error) => {
            let message = format!("a producer's report cannot be read: {error}");
            return (Judgement::invalid(reasons::PRODUCER_FAILED, message), None);
        }
    };
    let spec = &seen.load_test.spec;
    let (load, producers) = (spec.load.get(), spec.producers.unsigned_abs());
    let environment = environment(seen, results);
    let comparison = baseline::compare(seen, &sum.intervals, &environment);
    let slos: Vec<_> = spec.slos.iter().map(Into::into).collect();
    let circumstances = Circumstances {
        drain: spec.drain_timeout.get(),
        cpu_limit: cpu_limit(seen),
        // A change of the Pipeline explains all other defects.
        defect: changes::since_start(seen).map(|message| (reasons::PIPELINE_CHANGED, message)),
        comparison: comparison.as_ref(),
    };
    let judgement = judge(&sum, load.target(producers), &slos, &circumstances);
    let mut result = TestResult::of(&sum, &load, producers);
    // What was warned of before the start stays.
    result.warnings.splice(..0, std::mem::take(&mut status.result.warnings));
    result.warnings.extend(shared_nodes(seen, &environment));
    result.slos = judgement.slos.clone();
    status.result = TestResult { comparison, environment: Some(environment), ..result };
    status.display = Some(Display { slo: slo_column(&judgement), ..percentiles(seen, &sum.latency()) });
    let files = match files(seen, sum.intervals) {
        Ok(files) => files,
        Err(why) => {
            without_histograms(status, &why.to_string());
            None
        }
    };
    status.histograms = files.as_ref().map(|(_, interval_seconds)| Histograms {
        config_map: build::histograms_name(&seen.load_test),
        interval_seconds: *interval_seconds,
    });
    (judgement, files.map(|(files, _)| files))
}

/// `2/3` are met; none of none.
fn slo_column(Judgement { slos, .. }: &Judgement) -> Option<String> {
    let met = slos.iter().filter(|slo| slo.met).count();
    (!slos.is_empty()).then(|| format!("{met}/{}", slos.len()))
}

/// The result without its histograms, and a warning that says why.
pub fn without_histograms(status: &mut LoadTestStatus, why: &str) {
    status.histograms = None;
    status.result.warnings.push(Warning {
        reason: warnings::HISTOGRAMS_NOT_KEPT.into(),
        message: format!(
            "the histograms of seconds are not kept, so no other test can be compared with this one: {why}"
        ),
    });
}

/// As fine as a ConfigMap has room for, and the length of an interval in seconds; none of a test that never began.
fn files(seen: &Observation, mut intervals: Intervals) -> Result<Option<(Files, i64)>, EncodeError> {
    let Some(start) = seen.status().start_time else { return Ok(None) };
    let start = SystemTime::from(start.0) + seen.load_test.spec.warmup.get();
    loop {
        let files = Files::write(&intervals, start)?;
        if intervals.list().len() < 2 || files.histograms.len() + files.counts.len() <= MOST_FILE_BYTES {
            return Ok(Some((files, signed(intervals.length().as_secs()))));
        }
        intervals.coarsen();
    }
}

fn shared_nodes(seen: &Observation, Environment { shared_nodes, .. }: &Environment) -> Option<Warning> {
    let (nodes, pipeline) = (shared_nodes.join(", "), &seen.load_test.spec.pipeline_ref.name);
    (!shared_nodes.is_empty()).then(|| Warning {
        reason: warnings::SHARED.into(),
        message: format!("producers and pods of Pipeline \"{pipeline}\" shared the CPUs of {nodes}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_counts_the_slos_that_are_met() {
        let judged = |met: &[bool]| {
            let slo =
                |met: &bool| serde_json::from_value(serde_json::json!({ "metric": "P95", "max": "50ms", "met": met }));
            let slos = met.iter().map(|met| slo(met).unwrap()).collect();
            slo_column(&Judgement { slos, ..Judgement::invalid(reasons::NO_SAMPLES, String::new()) })
        };
        assert_eq!((judged(&[true, false, false]).as_deref(), judged(&[])), (Some("1/3"), None));
    }
}
