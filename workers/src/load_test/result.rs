//! From what the producers have measured to a result, and the judgement on it.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use tailrace_crds::conditions::reasons;
use tailrace_measure::{
    confidence::confidence,
    display,
    sum::Sum,
    summary::Summary,
    validity::{self, Target, judge},
    warning::warnings,
};
use tailrace_report::{
    raw_log::{self, Message},
    values::{Arrivals, Environment, Load, Objective, Rate, Run, Validity, Verdict, Warning},
};

use super::{Args, dataset};
use crate::producer::{self, LoadModel, Measurement, TestArgs};

/// What all producers have measured.
pub struct Measured {
    /// One each.
    pub measurements: Vec<Measurement>,
    /// The common start.
    pub started: Option<Timestamp>,
    /// Whether the sending was ended early.
    pub aborted: bool,
}

/// The result with all that is known of it.
///
/// # Errors
/// The raw log cannot be read again.
pub fn run(args: &Args, measured: Measured) -> anyhow::Result<Run> {
    let Measured { measurements, started, aborted } = measured;
    let client_settings = measurements.first().map(|first| first.client_settings.clone()).unwrap_or_default();
    let sum = Sum::of(parts(&measurements))?;
    let target = target(&args.test);
    let latency = sum.latency();
    let results = sum.results(&latency, target);
    let objectives: Vec<_> = args.slos.iter().map(|slo| slo.judge(&results, args.test.drain_timeout)).collect();
    let validity = if aborted { was_aborted(&sum) } else { validity(args, &sum, target) };
    let (verdict, message) = verdict(&sum, &validity, &objectives, args.test.drain_timeout, aborted);
    let TestArgs { producers, warmup, duration, drain_timeout, .. } = args.test;
    Ok(Run {
        name: args.name.clone(),
        namespace: None,
        pipeline: args.pipeline.clone(),
        load: load(&args.test),
        producers,
        dataset: dataset::in_words(&args.test)?,
        warmup,
        duration,
        drain_timeout,
        started,
        finished: Some(Timestamp::now()),
        verdict,
        message,
        validity,
        messages: Some(sum.tally.counts),
        rate: Some(rate(&sum, target)),
        latency: Some(latency),
        service_latency: Some(sum.service_latency()),
        send_delay: Some(Summary::of_values(&sum.tally.send_delay)),
        confidence: confidence(&sum.intervals).unwrap_or_default(),
        stages: Some(sum.tally.stages.summaries()),
        start_skew_micros: Some(sum.start_skew_micros()),
        accuracy_percent: number(display::percent(sum.tally.correct, sum.tally.compared)),
        objectives,
        comparison: None,
        warnings: warnings(&sum)
            .into_iter()
            .map(|warning| Warning { reason: warning.reason().to_owned(), message: warning.to_string() })
            .collect(),
        environment: environment(args, client_settings),
        intervals: Some(sum.intervals),
        raw_log: messages(measurements)?,
    })
}

/// The control group is that of the process: what it says counts once, not for each producer.
fn parts(measurements: &[Measurement]) -> Vec<Sum> {
    let mut parts: Vec<_> = measurements.iter().map(Measurement::part).collect();
    parts.iter_mut().skip(1).for_each(|part| part.throttled = None);
    parts
}

fn target(args: &TestArgs) -> Option<Target> {
    Some(match args.target()? {
        Target::PerSecond(rate) => Target::PerSecond(rate * u64::from(args.producers)),
        Target::Scheduled => Target::Scheduled,
    })
}

fn validity(args: &Args, sum: &Sum, target: Option<Target>) -> Validity {
    if let validity::Validity::Invalid { reason, message } = judge(&sum.evidence(target)) {
        return Validity { valid: false, reason: format!("{reason:?}"), message };
    }
    let scheduled = sum.tally.counts.scheduled;
    if let Some(message) = args.slos.iter().find_map(|slo| slo.metric.too_few_images(scheduled)) {
        return Validity { valid: false, reason: reasons::TOO_FEW_SAMPLES.to_owned(), message };
    }
    let message = sum.in_a_sentence(args.test.drain_timeout);
    Validity { valid: true, reason: reasons::VALID.to_owned(), message }
}

fn was_aborted(sum: &Sum) -> Validity {
    let message = format!("ended by its user; the numbers are those of the first {} s", sum.measured.as_secs());
    Validity { valid: false, reason: reasons::ABORTED.to_owned(), message }
}

fn verdict(
    sum: &Sum,
    validity: &Validity,
    objectives: &[Objective],
    drain: Duration,
    aborted: bool,
) -> (Verdict, String) {
    let missed: Vec<_> = objectives.iter().filter(|objective| !objective.met).map(Objective::sentence).collect();
    if aborted {
        (Verdict::Aborted, validity.message.clone())
    } else if !validity.valid {
        (Verdict::Invalid, validity.message.clone())
    } else if !missed.is_empty() {
        (Verdict::Missed, missed.join("; "))
    } else {
        (Verdict::Succeeded, sum.in_a_sentence(drain))
    }
}

fn load(args: &TestArgs) -> Load {
    match (args.load, args.rate) {
        (LoadModel::Open, rate) => Load::Open {
            rate_per_producer: rate.unwrap_or_default(),
            arrivals: match args.arrivals {
                producer::Arrivals::Constant => Arrivals::Constant,
                producer::Arrivals::Poisson => Arrivals::Poisson,
            },
        },
        (LoadModel::Closed, _) => Load::Closed { outstanding: args.outstanding, think_time: args.think_time },
    }
}

/// With one decimal, as everywhere.
fn rate(sum: &Sum, target: Option<Target>) -> Rate {
    let counts = &sum.tally.counts;
    let of = |images| number(Some(display::rate(images, sum.measured))).unwrap_or_default();
    let target = match target {
        Some(Target::PerSecond(rate)) => Some(rate as f64),
        _ => None,
    };
    Rate { target, offered: of(counts.sent), achieved: of(counts.received) }
}

fn number(text: Option<String>) -> Option<f64> {
    text?.parse().ok()
}

fn environment(args: &Args, client_settings: BTreeMap<String, String>) -> Environment {
    Environment { images: args.images(), client_settings, ..Environment::default() }
}

/// In the form in which a producer of its own would have left them.
fn messages(measurements: Vec<Measurement>) -> anyhow::Result<Vec<Message>> {
    let mut messages = vec![];
    for log in measurements.into_iter().filter_map(|measurement| measurement.raw_log) {
        let mut text = vec![];
        log.write(&mut text)?;
        messages.extend(raw_log::parse(&String::from_utf8(text)?)?);
    }
    Ok(messages)
}
