//! Whether the numbers mean what they say. An invalid result is shown, and is never called a success.

use std::time::Duration;

use crate::{
    accounting::{Counts, Stages},
    display,
    histogram::LatencyHistogram,
    lateness::Lateness,
    summary::summarize,
};

/// A result of all producers together.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What became of the images of the measurement.
    pub counts: &'a Counts,
    /// From the intended send to the answer.
    pub latency: &'a LatencyHistogram,
    /// From the actual send to the answer.
    pub service_latency: &'a LatencyHistogram,
    /// From the intended to the actual send.
    pub send_delay: &'a LatencyHistogram,
    /// Where the service latency went.
    pub stages: &'a Stages<LatencyHistogram>,
    /// The length of the measurement.
    pub duration: Duration,
    /// How long producers were kept from running by a CPU limit; none if nobody says.
    pub throttled: Option<Duration>,
    /// That limit, where it is known.
    pub cpu_limit: Option<&'a CpuLimit>,
    /// What was to be sent; none for a closed load, which has no target and whose producers cannot be too slow for a
    /// schedule.
    pub target: Option<Target>,
}

/// How much CPU a producer may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuLimit {
    /// Such as `500m`.
    pub quantity: String,
    /// Where it comes from, such as `of spec.podTemplate`.
    pub origin: String,
    /// What to write to have another one.
    pub remedy: String,
}

/// What an open load was to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// So many images a second of all producers together.
    PerSecond(u64),
    /// What the schedules had: their number is random, so it is not the rate times the duration.
    Scheduled,
}

impl Target {
    /// How many images were to be sent in so long.
    pub fn images(self, counts: &Counts, duration: Duration) -> f64 {
        match self {
            Self::PerSecond(rate) => rate as f64 * duration.as_secs_f64(),
            Self::Scheduled => counts.scheduled as f64,
        }
    }
}

/// Whether there is a defect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validity {
    /// The numbers mean what they say.
    Valid,
    /// They do not.
    Invalid {
        /// The kind of defect.
        reason: Reason,
        /// One sentence with the numbers.
        message: String,
    },
}

/// Kinds of defects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Counts and histograms do not add up.
    CountsDisagree,
    /// No image was answered with a label.
    NoSamples,
    /// Less than 99 % of the target rate was sent.
    OfferedRateTooLow,
    /// The producers were too slow for their own schedule.
    GeneratorSaturated,
}

/// A pause of the producers in more than one of this many parts of the measurement may be in a p99.
const PARTS_WITHOUT_PAUSE: u32 = 100;

/// Looks for defects; the first one found is named, the worst kind first.
pub fn check(evidence: &Evidence) -> Validity {
    let defect = counts_disagree(evidence)
        .map(|message| (Reason::CountsDisagree, message))
        .or_else(|| no_samples(evidence).map(|message| (Reason::NoSamples, message)))
        .or_else(|| offered_rate_too_low(evidence).map(|message| (Reason::OfferedRateTooLow, message)))
        .or_else(|| throttled(evidence).map(|message| (Reason::GeneratorSaturated, message)))
        .or_else(|| generator_saturated(evidence).map(|message| (Reason::GeneratorSaturated, message)));
    match defect {
        Some((reason, message)) => Validity::Invalid { reason, message },
        None => Validity::Valid,
    }
}

fn counts_disagree(evidence: &Evidence) -> Option<String> {
    let Evidence { counts, latency, service_latency, send_delay, stages, .. } = evidence;
    if let Err(disagreement) = counts.check() {
        return Some(disagreement.to_string());
    }
    let histograms = [
        ("latency", *latency),
        ("service latency", *service_latency),
        ("queue", &stages.queue),
        ("compute", &stages.compute),
        ("rest", &stages.rest),
    ];
    for (name, histogram) in histograms {
        if histogram.count() != counts.labelled() {
            return Some(format!(
                "{} images were answered with a label, but the histogram of the {name} holds {} values (it takes none above 1 h)",
                counts.labelled(),
                histogram.count()
            ));
        }
    }
    (send_delay.count() < counts.sent || send_delay.count() > counts.scheduled).then(|| {
        format!(
            "{} images were sent of {} scheduled, but the histogram of the send delay holds {} values (it takes none above 1 h)",
            counts.sent,
            counts.scheduled,
            send_delay.count()
        )
    })
}

fn no_samples(evidence: &Evidence) -> Option<String> {
    let Counts { scheduled, send_errors, lost, answer_errors, .. } = evidence.counts;
    (evidence.latency.count() == 0).then(|| {
        format!(
            "no image was answered with a label: of {scheduled} scheduled, {send_errors} could not be sent, {lost} were lost and {answer_errors} were answered with an error"
        )
    })
}

fn offered_rate_too_low(evidence: &Evidence) -> Option<String> {
    let Evidence { counts, duration, .. } = *evidence;
    let wanted = evidence.target?.images(counts, duration);
    (counts.sent as f64 * 100.0 < wanted * 99.0).then(|| {
        let [offered, wanted] = [counts.sent, wanted.round() as u64].map(|images| display::rate(images, duration));
        format!("{offered} images/s were sent of {wanted} wanted, less than 99 %: see the send errors")
    })
}

fn throttled(evidence: &Evidence) -> Option<String> {
    let throttled = evidence.throttled.filter(|throttled| is_throttled_too_long(*throttled, evidence.duration))?;
    let shown = display::duration(throttled);
    Some(match evidence.cpu_limit {
        Some(CpuLimit { quantity, origin, remedy }) => format!(
            "the producers were kept from running for {shown} by their CPU limit of {quantity}, {origin}, which is measured as latency: {remedy}"
        ),
        None => format!(
            "the producers were kept from running for {shown} by their CPU limit, which is measured as latency: raise it, or remove it"
        ),
    })
}

/// Whether images of more than 1 % of the measurement may have waited for it, though all producers are taken for one.
pub(crate) fn is_throttled_too_long(throttled: Duration, measured: Duration) -> bool {
    throttled * PARTS_WITHOUT_PAUSE > measured
}

fn generator_saturated(evidence: &Evidence) -> Option<String> {
    evidence.target?;
    let of = |histogram| summarize(histogram, evidence.counts.scheduled);
    let lateness = Lateness::of(&of(evidence.latency), &of(evidence.service_latency))?;
    let more = match evidence.cpu_limit {
        Some(CpuLimit { quantity, origin, remedy }) => {
            format!("give them more CPU than their limit of {quantity}, {origin}: {remedy}")
        }
        None => "give them more CPU".to_owned(),
    };
    lateness.is_too_much().then(|| {
        format!(
            "the producers were too slow for their schedule: their lateness is {lateness}; use more producers with a lower rate each, or {more}"
        )
    })
}

#[cfg(test)]
mod tests;
