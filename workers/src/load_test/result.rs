//! From what the producers have measured to a result, and the judgement on it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tailrace_measure::{
    display,
    environment::Environment,
    judgement::{Circumstances, Judgement, judge, reasons},
    result::TestResult,
    sum::Sum,
};
use tailrace_report::{
    raw_log::{self, Message},
    values::{Run, Validity},
};

use super::{Args, dataset};
use crate::producer::{Measurement, TestArgs};

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
    let TestArgs { producers, warmup, duration, drain_timeout, .. } = args.test;
    let load = args.test.load_of_each();
    let circumstances = Circumstances { drain: drain_timeout, ..Circumstances::default() };
    let mut judgement = judge(&sum, load.target(producers), &args.slos, &circumstances);
    if aborted {
        judgement = judgement
            .aborted(format!("ended by its user; the numbers are those of {}", display::duration(sum.measured)));
    }
    let validity = validity(&judgement);
    let result = TestResult::of(&sum, &load, producers);
    let environment = environment(args, client_settings);
    Ok(Run {
        name: args.name.clone(),
        namespace: None,
        pipeline: args.pipeline.clone(),
        load,
        producers,
        dataset: dataset::in_words(&args.test)?,
        warmup,
        duration,
        drain_timeout,
        started,
        finished: Some(Timestamp::now()),
        verdict: judgement.verdict,
        message: judgement.message,
        validity,
        result: TestResult { slos: judgement.slos, environment: Some(environment), ..result },
        intervals: Some(sum.intervals),
        raw_log: messages(measurements)?,
    })
}

/// The control group is that of the process: what it says counts once, not for each producer.
fn parts(measurements: &[Measurement]) -> Vec<Sum> {
    let mut parts: Vec<_> = measurements.iter().map(|measurement| measurement.sum.clone()).collect();
    parts.iter_mut().skip(1).for_each(|part| part.throttled = None);
    parts
}

fn validity(Judgement { reason, message, measured, .. }: &Judgement) -> Validity {
    let reason = if measured.is_some() { reasons::VALID } else { reason };
    let message = measured.as_ref().unwrap_or(message).clone();
    Validity { valid: measured.is_some(), reason: reason.to_owned(), message }
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
