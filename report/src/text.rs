//! `latency_results.txt`: all numbers of a LoadTest with their units, and what they were measured with.

use std::{fmt::Write, time::Duration};

use jiff::Timestamp;
use tailrace_measure::{
    confidence::{Comparison, Confidence, MetricComparison, Range, RegressionVerdict},
    summary::{Percentiles, Summary},
};

use crate::{
    numbers::{duration, grouped, millis, millis_or_unbounded, signed_millis},
    table::{self, TableError},
    values::{Run, Sweep},
};

/// A point in time as people write it: `2026-11-21 18:40:12 UTC`.
pub fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The summary, and one line a message where a raw log was kept.
///
/// # Errors
/// Those of the table of messages, which is written to memory.
pub fn of_run(run: &Run) -> Result<String, TableError> {
    let mut text = summary(run);
    if !run.raw_log.is_empty() {
        section(&mut text, "Messages, one a line: times in µs from the common start, on the clock of each producer");
        text += &table::messages(&run.raw_log)?;
    }
    Ok(text)
}

/// The summary alone.
pub fn summary(run: &Run) -> String {
    let mut text = String::new();
    head(&mut text, run);
    latencies(&mut text, run);
    confidence(&mut text, run);
    stages(&mut text, run);
    counts(&mut text, run);
    objectives(&mut text, run);
    run.result.comparison.iter().for_each(|comparison| compared(&mut text, comparison));
    warnings(&mut text, run);
    environment(&mut text, run);
    text
}

/// A String takes all that is written to it.
macro_rules! line {
    ($text:expr, $($arguments:tt)*) => {
        let _ = writeln!($text, $($arguments)*);
    };
}

fn section(text: &mut String, title: &str) {
    line!(text, "\n{title}");
}

fn row(text: &mut String, name: &str, value: impl std::fmt::Display) {
    line!(text, "  {name:<16}{value}");
}

fn head(text: &mut String, run: &Run) {
    let of = run.namespace.iter().map(|namespace| format!("{namespace}/")).collect::<String>();
    line!(text, "LoadTest {of}{}", run.name);
    row(text, "verdict", format_args!("{}: {}", run.verdict.title(), run.message));
    let validity = if run.validity.valid { "valid" } else { "NOT VALID" };
    let reason = if run.validity.valid { String::new() } else { format!(" ({})", run.validity.reason) };
    // What is not valid, or has succeeded, has said so in its verdict.
    let message = Some(&run.validity.message).filter(|message| **message != run.message);
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    row(text, "validity", format_args!("{validity}{reason}{message}"));
    row(text, "date", dates(run));
    row(text, "pipeline", &run.pipeline);
    row(text, "load", run.load.of(run.producers));
    row(text, "producers", run.producers);
    row(text, "images sent", &run.dataset);
    row(text, "measured", run.measured_in_words());
    if run.measured().is_some() {
        row(text, "drain", format_args!("answers were waited for {} at most", duration(run.drain_timeout)));
    }
}

fn dates(run: &Run) -> String {
    match (run.started.map(date), run.finished.map(date)) {
        (Some(started), Some(finished)) => format!("{started} to {finished}"),
        (Some(started), None) => format!("from {started}"),
        (None, Some(finished)) => format!("never started; ended {finished}"),
        (None, None) => "never started".to_owned(),
    }
}

const COLUMNS: [&str; 8] = ["min", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"];

fn latencies(text: &mut String, run: &Run) {
    let result = &run.result;
    let parts = [
        ("latency", result.latency_micros),
        ("service latency", result.service_latency_micros),
        ("send delay", result.send_delay_micros),
    ];
    if result.latency_micros.is_none() {
        section(text, "Nothing was measured.");
        return;
    }
    section(
        text,
        "Latency in ms: from the intended send (latency) and from the actual send (service latency) to the answer",
    );
    table_of(text, &parts, run.drain_timeout);
    if run.load.is_closed() {
        line!(
            text,
            "  A closed load sends the next image after an answer: time in which it did not send is in no latency."
        );
    }
}

fn stages(text: &mut String, run: &Run) {
    let Some(stages) = run.result.stages_micros else { return };
    section(text, "Where the service latency went, in ms; percentiles of parts do not add up to those of the whole");
    let parts = [
        ("queue", Some(stages.queue)),
        ("compute", Some(stages.compute)),
        ("the rest", Some(stages.rest)),
        ("acknowledgement", Some(stages.acknowledgement)),
    ];
    table_of(text, &parts, run.drain_timeout);
    line!(
        text,
        "  The rest is Kafka and the network, there and back; the acknowledgement runs beside and is a part of it."
    );
}

fn table_of(text: &mut String, parts: &[(&str, Option<Summary>)], drain: Duration) {
    let _ = write!(text, "  {:<16}{:>10}", "", "count");
    COLUMNS.iter().for_each(|column| {
        let _ = write!(text, "{column:>11}");
    });
    line!(text, "");
    for (name, summary) in parts {
        let Some(summary) = summary else { continue };
        let Summary { count, min, mean, p50, p90, p95, p99, p999, max } = *summary;
        let _ = write!(text, "  {name:<16}{:>10}", grouped(count));
        for micros in [min, mean, p50, p90, p95, p99, p999, max] {
            let _ = write!(text, "{:>11}", millis_or_unbounded(micros, drain));
        }
        line!(text, "");
    }
}

fn confidence(text: &mut String, run: &Run) {
    let Confidence { p50, p90, p95, p99 } = run.result.confidence_micros.unwrap_or_default();
    let named = [("p50", p50), ("p90", p90), ("p95", p95), ("p99", p99)];
    if named.iter().all(|(_, range)| range.is_none()) {
        return;
    }
    section(text, "95 % confidence intervals of the latency in ms, by block bootstrap over intervals of time");
    for (name, range) in named {
        let Some(Range { low, high }) = range else { continue };
        row(text, name, format_args!("{} to {}", millis(low), millis_or_unbounded(high, run.drain_timeout)));
    }
}

fn counts(text: &mut String, run: &Run) {
    if let Some(messages) = run.result.messages {
        section(text, "Images: scheduled = sent + send errors, sent = received + lost");
        for (name, count) in [
            ("scheduled", messages.scheduled),
            ("sent", messages.sent),
            ("send errors", messages.send_errors),
            ("received", messages.received),
            ("drained", messages.drained),
            ("lost", messages.lost),
            ("duplicates", messages.duplicates),
            ("answer errors", messages.answer_errors),
        ] {
            row(text, name, format_args!("{:>10}", grouped(count)));
        }
        line!(
            text,
            "  Drained are those that were answered only after the end of the measurement; they are among received."
        );
    }
    if let Some(backlog) = &run.result.backlog {
        section(text, "Backlog: images that were sent by the end of the measurement and not answered yet");
        row(text, "images", format_args!("{:>10}", grouped(backlog.images)));
        if let Some(micros) = backlog.catch_up_micros {
            row(text, "catch-up", format_args!("{:>14} ms from the end to the last answer of them", millis(micros)));
        }
    }
    if let Some(rate) = &run.result.rate {
        section(text, "Rate in images/s, of all producers together");
        let target = rate.target.as_ref();
        let target =
            target.map_or_else(|| "none: a closed load has no target".to_owned(), |rate| format!("{rate:>12}"));
        row(text, "target", target);
        row(text, "offered", format_args!("{:>12}", rate.offered));
        row(text, "achieved", format_args!("{:>12} answered until the end of the measurement", rate.achieved));
    }
    if let Some(unanswered) = &run.result.unanswered_percent {
        row(text, "unanswered", format_args!("{unanswered:>12} % of the images have no label"));
    }
    if let Some(accuracy) = &run.result.accuracy_percent {
        row(text, "accuracy", format_args!("{accuracy:>12} % of the labels are right"));
    }
    if let Some(skew) = run.result.start_skew_micros {
        row(
            text,
            "start skew",
            format_args!("{:>12} ms between the first and the last producer", millis(skew.unsigned_abs())),
        );
    }
}

fn objectives(text: &mut String, run: &Run) {
    if run.result.slos.is_empty() {
        return;
    }
    section(text, "SLOs");
    for slo in &run.result.slos {
        row(text, slo.verdict(), format_args!("{}: {}", slo.title(), slo.observed()));
    }
}

fn compared(text: &mut String, comparison: &Comparison) {
    let Comparison { baseline, max_regression_percent, .. } = comparison;
    section(
        text,
        &format!("Compared with LoadTest {baseline}, at most {max_regression_percent} % slower; differences in ms"),
    );
    let verdict = match comparison.verdict {
        RegressionVerdict::NotRegressed => "not regressed",
        RegressionVerdict::Regressed => "regressed",
        RegressionVerdict::Inconclusive => "inconclusive",
    };
    row(text, "verdict", format_args!("{verdict}: {}", comparison.message));
    comparison.metrics.iter().for_each(|metric| changed(text, metric));
    comparison.environment_differences.iter().for_each(|difference| row(text, "differs", difference));
}

fn changed(text: &mut String, compared: &MetricComparison) {
    let shown = |micros: Option<u64>| micros.map_or_else(|| "unbounded".to_owned(), millis);
    let signed = |micros: Option<i64>| micros.map_or_else(|| "unbounded".to_owned(), signed_millis);
    let metric = format!("{:?}", compared.metric);
    let (before, after) = (shown(compared.baseline_micros), shown(compared.observed_micros));
    let change = compared.difference_micros;
    let low = signed(change.and_then(|change| change.low));
    let high = signed(change.and_then(|change| change.high));
    let difference = signed(change.map(|change| change.value));
    row(text, &metric, format_args!("{before} before, {after} now: {difference} (95 % confidence: {low} to {high})"));
}

fn warnings(text: &mut String, run: &Run) {
    if run.result.warnings.is_empty() {
        return;
    }
    section(text, "Warnings");
    run.result.warnings.iter().for_each(|warning| row(text, &warning.reason, &warning.message));
}

fn environment(text: &mut String, run: &Run) {
    let environment = run.result.environment();
    section(text, "Measured with");
    environment.images.iter().for_each(|(part, image)| row(text, part, image));
    environment
        .model
        .iter()
        .for_each(|model| row(text, "model", format_args!("{} sha256:{}", model.name, model.sha256)));
    // Without Kubernetes there are no nodes.
    if !environment.producer_nodes.is_empty() {
        row(text, "producers on", names(&environment.producer_nodes));
        row(text, "shared nodes", names(&environment.shared_nodes));
    }
    environment
        .resources
        .iter()
        .for_each(|(part, resources)| row(text, "resources", format_args!("{part}: {resources}")));
    for (part, annotations) in &environment.annotations {
        annotations.iter().for_each(|(key, value)| row(text, "annotation", format_args!("{part}: {key}: {value}")));
    }
    environment.client_settings.iter().for_each(|(name, value)| {
        line!(text, "  {name} = {value}");
    });
}

fn names(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// The table of an Experiment: the median and the extremes of the valid repetitions, in ms.
pub fn of_sweep(sweep: &Sweep) -> String {
    let mut text = String::new();
    let of = sweep.namespace.iter().map(|namespace| format!("{namespace}/")).collect::<String>();
    line!(text, "Experiment {of}{}", sweep.name);
    line!(text, "  {}", sweep.message);
    section(&mut text, "Latency in ms: the median of the valid repetitions (smallest to largest)");
    let columns = ["p50", "p90", "p95", "p99"];
    let _ = write!(text, "  {:<12}{:>8}", sweep.varied.title(), "valid");
    columns.iter().for_each(|column| {
        let _ = write!(text, "  {column:<30}");
    });
    let end = text.trim_end().len();
    text.truncate(end);
    line!(text, "");
    for point in &sweep.points {
        let valid = point.repetitions.iter().filter(|repetition| repetition.is_valid()).count();
        let valid = format!("{valid}/{}", point.repetitions.len());
        let _ = write!(text, "  {:<12}{valid:>8}", point.value);
        let percentiles: [fn(&Percentiles) -> Option<u64>; 4] =
            [|latency| latency.p50, |latency| latency.p90, |latency| latency.p95, |latency| latency.p99];
        for percentile in percentiles {
            let shown = |micros: Option<u64>| micros.map_or_else(|| "unbounded".to_owned(), millis);
            let spread = point.spread(percentile).map_or_else(
                || "-".to_owned(),
                |spread| format!("{} ({} to {})", shown(spread.median), shown(spread.min), shown(spread.max)),
            );
            let _ = write!(text, "  {spread:<30}");
        }
        let end = text.trim_end().len();
        text.truncate(end);
        line!(text, "");
    }
    text
}
