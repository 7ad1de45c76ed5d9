//! From the producers' reports to the numbers in the status. Histograms are summed; percentiles are never averaged.

use std::collections::BTreeSet;

use tailrace_crds::{
    conditions::reasons,
    load_test::{
        Arrivals, ClosedLoad, Display, Environment, Latency, Load, LoadTestStatus, Messages, OpenLoad, Rate, SloResult,
    },
    messages::{signed, unsigned},
    producer_report::ProducerResult,
};
use tailrace_measure::{
    accounting::Counts,
    display,
    histogram::{DecodeError, LatencyHistogram},
    slo::Results,
    summary::{Summary, summarize},
    validity::{Evidence, Reason, Target, Validity, judge},
};

use super::{
    observation::{Observation, is_producer, pod_is_over},
    slos,
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
    /// They are valid, and keep all SLOs.
    Success,
    /// They are valid, and an SLO is missed.
    Missed,
    /// They do not mean what they say, or there are none.
    Invalid,
}

impl Verdict {
    /// Of a test without a valid result.
    pub fn invalid(reason: &'static str, message: String) -> Self {
        Self { outcome: Outcome::Invalid, reason, message }
    }
}

/// All producers' numbers together.
struct Sum {
    messages: Counts,
    warmup: Counts,
    correct: u64,
    latency: LatencyHistogram,
    service_latency: LatencyHistogram,
    send_delay: LatencyHistogram,
    start_skew_micros: i64,
}

impl Sum {
    fn of(results: &[&ProducerResult]) -> Result<Self, DecodeError> {
        let delays = || results.iter().map(|result| result.start_delay_micros);
        let mut sum = Self {
            messages: Counts::default(),
            warmup: Counts::default(),
            correct: 0,
            latency: LatencyHistogram::new(),
            service_latency: LatencyHistogram::new(),
            send_delay: LatencyHistogram::new(),
            start_skew_micros: delays().max().unwrap_or(0).saturating_sub(delays().min().unwrap_or(0)),
        };
        for result in results {
            sum.messages += Counts::from(&result.messages);
            sum.warmup += Counts::from(&result.warmup_messages);
            sum.correct += unsigned(result.correct);
            sum.latency.add(&LatencyHistogram::decode(&result.latency)?);
            sum.service_latency.add(&LatencyHistogram::decode(&result.service_latency)?);
            sum.send_delay.add(&LatencyHistogram::decode(&result.send_delay)?);
        }
        Ok(sum)
    }
}

/// Writes the numbers of `results` into `status`, and judges them.
pub fn measure(seen: &Observation, results: &[&ProducerResult], status: &mut LoadTestStatus) -> Verdict {
    let sum = match Sum::of(results) {
        Ok(sum) => sum,
        Err(error) => {
            let message = format!("a producer's report cannot be read: {error}");
            return Verdict::invalid(reasons::PRODUCER_FAILED, message);
        }
    };
    let duration = seen.load_test.spec.duration.get();
    let latency = summarize(&sum.latency, sum.messages.scheduled);
    status.messages = Some(sum.messages.into());
    status.warmup_messages = Some(sum.warmup.into());
    status.latency_micros = Some(micros(&latency));
    status.service_latency_micros = Some(micros(&summarize(&sum.service_latency, sum.messages.scheduled)));
    status.send_delay_micros = Some(micros(&summarize(&sum.send_delay, sum.send_delay.count())));
    status.rate = Some(Rate {
        target: wanted_per_second(seen).map(|wanted| format!("{wanted}.0")),
        offered: display::rate(sum.messages.sent, duration),
        achieved: display::rate(sum.messages.received, duration),
    });
    status.start_skew_micros = Some(sum.start_skew_micros);
    status.accuracy_percent = display::percent(sum.correct, sum.messages.labelled());
    status.slos = judge_slos(seen, &sum, &latency);
    status.environment = Some(environment(seen, results));
    status.display = Some(Display { slo: slos::column(&status.slos), ..percentiles(seen, &latency) });
    verdict(seen, &sum, &latency, &status.slos)
}

fn judge_slos(seen: &Observation, sum: &Sum, latency: &Summary) -> Vec<SloResult> {
    let spec = &seen.load_test.spec;
    let results = Results {
        latency,
        counts: &sum.messages,
        correct: sum.correct,
        duration: spec.duration.get(),
        target: target(seen),
    };
    slos::judge(&spec.slos, &results, spec.drain_timeout.get())
}

fn verdict(seen: &Observation, sum: &Sum, latency: &Summary, judged: &[SloResult]) -> Verdict {
    let judgement = judge(&Evidence {
        counts: &sum.messages,
        latency: &sum.latency,
        service_latency: &sum.service_latency,
        send_delay: &sum.send_delay,
        duration: seen.load_test.spec.duration.get(),
        target: target(seen),
    });
    if let Validity::Invalid { reason, message } = judgement {
        return Verdict::invalid(name(reason), message);
    }
    if let Some(message) = slos::too_few_images(&seen.load_test.spec.slos, sum.messages.scheduled) {
        return Verdict::invalid(reasons::TOO_FEW_SAMPLES, message);
    }
    match slos::missed(judged) {
        Some(message) => Verdict { outcome: Outcome::Missed, reason: reasons::SLO_MISSED, message },
        None => Verdict {
            outcome: Outcome::Success,
            reason: reasons::COMPLETED,
            message: in_a_sentence(seen, &sum.messages, latency),
        },
    }
}

fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::CountsDisagree => reasons::COUNTS_DISAGREE,
        Reason::NoSamples => reasons::NO_SAMPLES,
        Reason::OfferedRateTooLow => reasons::OFFERED_RATE_TOO_LOW,
        Reason::GeneratorSaturated => reasons::GENERATOR_SATURATED,
    }
}

fn in_a_sentence(seen: &Observation, messages: &Counts, latency: &Summary) -> String {
    let Counts { scheduled, send_errors, lost, answer_errors, .. } = messages;
    let p95 = shown(seen, latency.p95);
    let trouble: Vec<_> =
        [(send_errors, "could not be sent"), (lost, "were lost"), (answer_errors, "were answered with an error")]
            .into_iter()
            .filter(|(count, _)| **count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
    let trouble = if trouble.is_empty() { "all were answered".to_owned() } else { trouble.join(", ") };
    format!("{scheduled} images, of which {trouble}; p95 {p95}").replace("of which all were", "all")
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

/// The column texts that are known before there is any number.
pub fn load_column(seen: &Observation) -> Display {
    let Load { open, closed } = &seen.load_test.spec.load;
    let load = match open {
        Some(OpenLoad { rate_per_producer, arrivals: Arrivals::Constant }) => format!("open {rate_per_producer}/s"),
        Some(OpenLoad { rate_per_producer, arrivals: Arrivals::Poisson }) => format!("poisson {rate_per_producer}/s"),
        None => closed_column(&closed.clone().unwrap_or_default()),
    };
    Display { load, ..Display::default() }
}

/// `closed`, with what differs from the default.
fn closed_column(ClosedLoad { outstanding, think_time }: &ClosedLoad) -> String {
    let outstanding = if *outstanding == 1 { String::new() } else { format!(" {outstanding}") };
    let think_time = if think_time.get().is_zero() { String::new() } else { format!(", think {think_time}") };
    format!("closed{outstanding}{think_time}")
}

fn percentiles(seen: &Observation, latency: &Summary) -> Display {
    Display {
        p50: Some(shown(seen, latency.p50)),
        p90: Some(shown(seen, latency.p90)),
        p95: Some(shown(seen, latency.p95)),
        p99: Some(shown(seen, latency.p99)),
        ..load_column(seen)
    }
}

fn shown(seen: &Observation, micros: Option<u64>) -> String {
    micros.map_or_else(|| display::unbounded(seen.load_test.spec.drain_timeout.get()), display::micros)
}

fn environment(seen: &Observation, results: &[&ProducerResult]) -> Environment {
    let pipeline = seen.pipeline.as_ref().and_then(|pipeline| pipeline.status.as_ref());
    let mut images = pipeline.map(|status| status.images.clone()).unwrap_or_default();
    images.extend(producer_image(seen).map(|image| ("producer".to_owned(), image)));
    let producer_nodes = producer_nodes(seen);
    Environment {
        images,
        model: pipeline.and_then(|status| status.model.clone()),
        shared_nodes: shared_nodes(seen, &producer_nodes),
        producer_nodes,
        client_settings: results.first().map(|result| result.client_settings.clone()).unwrap_or_default(),
    }
}

fn producer_image(seen: &Observation) -> Option<String> {
    let pod = seen.job(0)?.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers.first()?.image.clone()
}

fn producer_nodes(seen: &Observation) -> Vec<String> {
    let mut reports: Vec<_> = seen.reports.iter().collect();
    reports.sort_by_key(|report| report.spec.index);
    reports.into_iter().filter_map(|report| report.status.as_ref()?.node.clone()).collect()
}

/// Pods that have ended, such as that of the check, take nothing from the producers.
fn shared_nodes(seen: &Observation, producer_nodes: &[String]) -> Vec<String> {
    let of_pipeline: BTreeSet<_> = seen
        .pods
        .iter()
        .filter(|pod| !is_producer(pod) && !pod_is_over(pod))
        .filter_map(|pod| pod.spec.as_ref()?.node_name.clone())
        .collect();
    of_pipeline.into_iter().filter(|node| producer_nodes.contains(node)).collect()
}

/// The images so far, of warm-up and measurement together.
pub fn progress(seen: &Observation) -> Option<Messages> {
    let mut sum = None;
    for report in &seen.reports {
        if let Some(progress) = report.status.as_ref().and_then(|status| status.progress.as_ref()) {
            *sum.get_or_insert_with(Counts::default) += Counts::from(progress);
        }
    }
    sum.map(Messages::from)
}

fn micros(summary: &Summary) -> Latency {
    let value = |value: Option<u64>| value.map(signed);
    Latency {
        count: signed(summary.count),
        min: value(summary.min),
        mean: value(summary.mean),
        p50: value(summary.p50),
        p90: value(summary.p90),
        p95: value(summary.p95),
        p99: value(summary.p99),
        p999: value(summary.p999),
        max: value(summary.max),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::load_test::fixtures::new_test;

    #[test]
    fn a_node_is_shared_if_a_producer_and_a_running_pod_of_the_pipeline_are_on_it() {
        let mut seen = new_test().with_pipeline().with_producers();
        for (index, node) in ["node1", "node2"].into_iter().enumerate() {
            seen.report_mut(index).status.get_or_insert_default().node = Some(node.into());
        }
        for (node, phase) in [("node0", "Running"), ("node1", "Succeeded"), ("node2", "Running")] {
            let pod =
                json!({ "metadata": {}, "spec": { "containers": [], "nodeName": node }, "status": { "phase": phase } });
            seen.pods.push(serde_json::from_value(pod).unwrap());
        }
        let environment = environment(&seen, &[]);
        assert_eq!(environment.producer_nodes, ["node1", "node2"]);
        assert_eq!(environment.shared_nodes, ["node2"]);
        assert_eq!(environment.images["producer"], "worker:1");
    }

    #[test]
    fn a_column_says_which_load_it_was() {
        let column = |load: serde_json::Value| {
            let mut seen = new_test();
            seen.load_test.spec.load = serde_json::from_value(load).unwrap();
            load_column(&seen).load
        };
        assert_eq!(column(json!({ "open": { "ratePerProducer": 20 } })), "open 20/s");
        assert_eq!(column(json!({ "open": { "ratePerProducer": 20, "arrivals": "Poisson" } })), "poisson 20/s");
        assert_eq!(column(json!({ "closed": {} })), "closed");
        assert_eq!(column(json!({ "closed": { "outstanding": 4, "thinkTime": "100ms" } })), "closed 4, think 100ms");
    }

    #[test]
    fn progress_is_the_sum_of_what_the_producers_have_said_so_far() {
        let mut seen = new_test().with_pipeline().with_producers();
        assert_eq!(progress(&seen), None);
        let sent = |sent| Some(Messages { scheduled: sent, sent, ..Messages::default() });
        seen.report_mut(0).status.get_or_insert_default().progress = sent(3);
        assert_eq!(progress(&seen), sent(3));
        seen.report_mut(1).status.get_or_insert_default().progress = sent(4);
        assert_eq!(progress(&seen), sent(7));
    }
}
