//! From the producers' reports to the numbers in the status, and the judgement on them.

use std::time::SystemTime;

use tailrace_crds::{
    conditions::{reasons, warnings},
    load_test::{
        Arrivals, Comparison, Display, Environment, Histograms, LoadTestStatus, Rate, RegressionVerdict, SloResult,
        Warning,
    },
    producer_report::ProducerResult,
};
use tailrace_measure::{
    accounting::Tally,
    confidence::confidence,
    display,
    histogram::EncodeError,
    intervals::{Files, Intervals},
    signed::{signed, unsigned},
    sum::Sum,
    summary::Summary,
    validity::{Evidence, Reason, Target, Validity, judge},
    warning,
};

use super::{
    baseline, build, changes, columns::percentiles, cpu_limit::cpu_limit, environment::environment,
    observation::Observation, slos, sum::sum,
};

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the numbers mean what they say, and are good enough.
    pub outcome: Outcome,
    /// The reason of the conditions and the event.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
}

/// What the numbers of a test are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They are valid, keep all SLOs and are not slower than the baseline.
    Success,
    /// They are valid, and an SLO is missed.
    Missed,
    /// They are valid, keep all SLOs and are slower than the baseline.
    Regressed,
    /// They do not mean what they say, or there are none.
    Invalid,
    /// They are those until the test was ended by its user.
    Aborted,
}

impl Verdict {
    /// Of a test without a valid result.
    pub fn invalid(reason: &'static str, message: String) -> Self {
        Self { outcome: Outcome::Invalid, reason, message }
    }

    /// Of a test that its user has ended.
    pub fn aborted(message: String) -> Self {
        Self { outcome: Outcome::Aborted, reason: reasons::ABORTED, message }
    }
}

/// What a ConfigMap takes is 1 MiB.
const MOST_FILE_BYTES: usize = 900 << 10;

/// Writes the numbers of `results` into `status`, and judges them. Returns the measurement second by second, too, if it
/// could be read.
pub fn measure(
    seen: &Observation,
    results: &[&ProducerResult],
    status: &mut LoadTestStatus,
) -> (Verdict, Option<Files>) {
    let sum = match sum(results) {
        Ok(sum) => sum,
        Err(error) => {
            let message = format!("a producer's report cannot be read: {error}");
            return (Verdict::invalid(reasons::PRODUCER_FAILED, message), None);
        }
    };
    let latency = sum.latency();
    write_numbers(seen, &sum, &latency, status);
    let environment = environment(seen, results);
    status.slos = judge_slos(seen, &sum, &latency);
    status.comparison = baseline::compare(seen, &sum.intervals, &environment);
    status.warnings.extend(warnings(seen, &sum, &environment));
    status.environment = Some(environment);
    status.display = Some(Display { slo: slos::column(&status.slos), ..percentiles(seen, &latency) });
    let files = match files(seen, sum.intervals.clone()) {
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
    (verdict(seen, &sum, status), files.map(|(files, _)| files))
}

fn write_numbers(seen: &Observation, sum: &Sum, latency: &Summary, status: &mut LoadTestStatus) {
    let Tally { counts, correct, compared, send_delay, stages, .. } = &sum.tally;
    status.messages = Some(*counts);
    status.warmup_messages = Some(sum.warmup);
    status.latency_micros = Some(*latency);
    status.confidence_micros = confidence(&sum.intervals);
    status.service_latency_micros = Some(sum.service_latency());
    status.send_delay_micros = Some(Summary::of_values(send_delay));
    status.stages_micros = Some(stages.summaries());
    status.rate = Some(Rate {
        target: wanted_per_second(seen).map(|wanted| format!("{wanted}.0")),
        offered: display::rate(counts.sent, sum.measured),
        achieved: display::rate(counts.received, sum.measured),
    });
    status.start_skew_micros = Some(sum.start_skew_micros());
    status.accuracy_percent = display::percent(*correct, *compared);
}

/// The result without its histograms, and a warning that says why.
pub fn without_histograms(status: &mut LoadTestStatus, why: &str) {
    status.histograms = None;
    status.warnings.push(Warning {
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

fn warnings(seen: &Observation, sum: &Sum, environment: &Environment) -> Vec<Warning> {
    let of_numbers = warning::warnings(sum)
        .into_iter()
        .map(|warning| Warning { reason: warning.reason().into(), message: warning.to_string() });
    let nodes = (!environment.shared_nodes.is_empty()).then(|| {
        let (nodes, pipeline) = (environment.shared_nodes.join(", "), &seen.load_test.spec.pipeline_ref.name);
        Warning {
            reason: warnings::SHARED.into(),
            message: format!("producers and pods of Pipeline \"{pipeline}\" shared the CPUs of {nodes}"),
        }
    });
    of_numbers.chain(nodes).collect()
}

fn judge_slos(seen: &Observation, sum: &Sum, latency: &Summary) -> Vec<SloResult> {
    let spec = &seen.load_test.spec;
    slos::judge(&spec.slos, &sum.results(latency, target(seen)), spec.drain_timeout.get())
}

fn verdict(seen: &Observation, sum: &Sum, status: &LoadTestStatus) -> Verdict {
    if let Some((reason, message)) = defect(seen, sum) {
        return Verdict::invalid(reason, message);
    }
    let regressed = |comparison: &&Comparison| comparison.verdict == RegressionVerdict::Regressed;
    if let Some(message) = slos::missed(&status.slos) {
        Verdict { outcome: Outcome::Missed, reason: reasons::SLO_MISSED, message }
    } else if let Some(comparison) = status.comparison.as_ref().filter(regressed) {
        Verdict { outcome: Outcome::Regressed, reason: reasons::REGRESSED, message: comparison.message.clone() }
    } else {
        let message = sum.in_a_sentence(seen.load_test.spec.drain_timeout.get());
        Verdict { outcome: Outcome::Success, reason: reasons::COMPLETED, message }
    }
}

/// Why the numbers do not mean what they say. A change of the Pipeline explains all others.
fn defect(seen: &Observation, sum: &Sum) -> Option<(&'static str, String)> {
    if let Some(message) = changes::since_start(seen) {
        return Some((reasons::PIPELINE_CHANGED, message));
    }
    let cpu_limit = cpu_limit(seen);
    let judgement = judge(&Evidence { cpu_limit: cpu_limit.as_ref(), ..sum.evidence(target(seen)) });
    if let Validity::Invalid { reason, message } = judgement {
        return Some((name(reason), message));
    }
    let too_few = slos::too_few_images(&seen.load_test.spec.slos, sum.tally.counts.scheduled);
    too_few.map(|message| (reasons::TOO_FEW_SAMPLES, message))
}

fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::CountsDisagree => reasons::COUNTS_DISAGREE,
        Reason::NoSamples => reasons::NO_SAMPLES,
        Reason::OfferedRateTooLow => reasons::OFFERED_RATE_TOO_LOW,
        Reason::GeneratorSaturated => reasons::GENERATOR_SATURATED,
    }
}

fn target(seen: &Observation) -> Option<Target> {
    match seen.load_test.spec.load.open.as_ref()?.arrivals {
        Arrivals::Constant => wanted_per_second(seen).map(Target::PerSecond),
        Arrivals::Poisson => Some(Target::Scheduled),
    }
}

/// Images a second of all producers together, in an open load.
fn wanted_per_second(seen: &Observation) -> Option<u64> {
    let spec = &seen.load_test.spec;
    let open = spec.load.open.as_ref()?;
    Some(unsigned(i64::from(open.rate_per_producer)) * unsigned(i64::from(spec.producers)))
}
