//! What a LoadTest comes to: whether its numbers mean what they say, and are good enough.

use std::time::Duration;

use crate::{
    confidence::{Comparison, RegressionVerdict},
    slo::{self, Slo, SloResult},
    sum::Sum,
    validity::{self, CpuLimit, Evidence, Reason, Target, Validity},
};

/// The reasons of a verdict, which people and tools rely on.
pub mod reasons {
    /// Finished, and every gate passed.
    pub const COMPLETED: &str = "Completed";
    /// Less than 99 % of the target rate was offered.
    pub const OFFERED_RATE_TOO_LOW: &str = "OfferedRateTooLow";
    /// The producers were too slow for their own schedule.
    pub const GENERATOR_SATURATED: &str = "GeneratorSaturated";
    /// Counts and histograms do not add up.
    pub const COUNTS_DISAGREE: &str = "CountsDisagree";
    /// No image was measured.
    pub const NO_SAMPLES: &str = "NoSamples";
    /// An SLO looks at a quantile above which fewer than ten images lie.
    pub const TOO_FEW_SAMPLES: &str = "TooFewSamples";
    /// The test or the Experiment was ended by `abort`.
    pub const ABORTED: &str = "Aborted";
    /// A result that is valid is slower than its baseline by more than is allowed.
    pub const REGRESSED: &str = "Regressed";
    /// A result that is valid does not keep an SLO.
    pub const SLO_MISSED: &str = "SLOMissed";
    /// The gates of validity were passed.
    pub const VALID: &str = "Valid";
}

/// The outcome of a LoadTest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its numbers are valid, keep all SLOs and are not slower than the baseline.
    Succeeded,
    /// They are valid, and an SLO is missed.
    Missed,
    /// They are valid, keep all SLOs and are slower than the baseline by more than is allowed.
    Regressed,
    /// They do not mean what they say, or there are none.
    Invalid,
    /// They are those until its user ended it.
    Aborted,
}

/// The verdict on a LoadTest, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The outcome.
    pub verdict: Verdict,
    /// A reason in CamelCase: one of [`reasons`], or that of [`Circumstances::defect`].
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
    /// Another one: what was measured, if that means something.
    pub measured: Option<String>,
    /// How each SLO is kept, in the order in which they were given.
    pub slos: Vec<SloResult>,
}

/// What the numbers do not say themselves.
#[derive(Clone, Debug, Default)]
pub struct Circumstances<'a> {
    /// How long answers were waited for.
    pub drain: Duration,
    /// The CPU limit of the producers, where it is known.
    pub cpu_limit: Option<CpuLimit>,
    /// Why no number means anything, whatever it is: a reason and a sentence.
    pub defect: Option<(&'static str, String)>,
    /// The comparison with a baseline.
    pub comparison: Option<&'a Comparison>,
}

/// Judges the numbers of all producers together. `target` is what they were to send, none of a closed load. What comes
/// first explains what comes later: a defect, numbers that mean nothing, an SLO that is missed, a baseline.
pub fn judge(sum: &Sum, target: Option<Target>, slos: &[Slo], circumstances: &Circumstances<'_>) -> Judgement {
    let Circumstances { drain, comparison, .. } = *circumstances;
    let latency = sum.latency();
    let results = sum.results(&latency, target);
    let judged: Vec<_> = slos.iter().map(|slo| slo.judge(&results, drain)).collect();
    let (verdict, reason, message) = if let Some((reason, message)) = defect(sum, target, slos, circumstances) {
        (Verdict::Invalid, reason, message)
    } else if let Some(message) = slo::missed(&judged) {
        (Verdict::Missed, reasons::SLO_MISSED, message)
    } else if let Some(regressed) = comparison.filter(|found| found.verdict == RegressionVerdict::Regressed) {
        (Verdict::Regressed, reasons::REGRESSED, regressed.message.clone())
    } else {
        (Verdict::Succeeded, reasons::COMPLETED, sum.in_a_sentence(drain))
    };
    let measured = verdict.is_valid().then(|| sum.in_a_sentence(drain));
    Judgement { verdict, reason, message, measured, slos: judged }
}

/// Why the numbers do not mean what they say.
fn defect(
    sum: &Sum,
    target: Option<Target>,
    slos: &[Slo],
    Circumstances { cpu_limit, defect, .. }: &Circumstances<'_>,
) -> Option<(&'static str, String)> {
    if defect.is_some() {
        return defect.clone();
    }
    let evidence = Evidence { cpu_limit: cpu_limit.as_ref(), ..sum.evidence(target) };
    if let Validity::Invalid { reason, message } = validity::check(&evidence) {
        return Some((name(reason), message));
    }
    let scheduled = sum.tally.counts.scheduled;
    let too_few = slos.iter().find_map(|slo| slo.metric.too_few_images(scheduled));
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

impl Judgement {
    /// On a test without a valid result.
    pub fn invalid(reason: &'static str, message: String) -> Self {
        Self { verdict: Verdict::Invalid, reason, message, measured: None, slos: vec![] }
    }

    /// The same of a test that its user has ended, which is nothing else, whatever its numbers are.
    pub fn aborted(self, message: String) -> Self {
        Self { verdict: Verdict::Aborted, reason: reasons::ABORTED, message, measured: None, ..self }
    }

    /// Whether the numbers mean what they say.
    pub fn is_valid(&self) -> bool {
        self.verdict.is_valid()
    }
}

impl Verdict {
    /// Whether the numbers mean what they say.
    pub fn is_valid(self) -> bool {
        matches!(self, Self::Succeeded | Self::Missed | Self::Regressed)
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Missed | Self::Regressed => "objective missed",
            Self::Invalid => "not valid",
            Self::Aborted => "aborted",
        }
    }

    /// What is said to the shell: 0 only if it succeeded, and never 1, which is said of errors.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::Invalid => 2,
            Self::Missed | Self::Regressed => 3,
            Self::Aborted => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::{Answer, Ledger, Outcome};

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// `images` images, one per millisecond. The last `lost` are never answered, the others after 50 ms.
    fn sum(images: u32, lost: u32) -> Sum {
        let measured = MILLISECOND * images;
        let mut ledger = Ledger::new(Duration::ZERO, measured);
        for number in 0..images {
            let at = MILLISECOND * number;
            let sequence = ledger.send(at, at);
            ledger.acknowledged(sequence, at);
            if number < images - lost {
                let answer = Answer { outcome: Outcome::Correct, queue: Duration::ZERO, compute: Duration::ZERO };
                ledger.answered(sequence, at + MILLISECOND * 50, answer);
            }
        }
        let windows = ledger.finish().0;
        Sum {
            tally: windows.measurement,
            intervals: windows.intervals,
            measured,
            topic_records: Some(0),
            ..Sum::of(vec![]).unwrap()
        }
    }

    fn judged(sum: &Sum, slos: &[&str], circumstances: &Circumstances<'_>) -> Judgement {
        let slos: Vec<Slo> = slos.iter().map(|slo| slo.parse().unwrap()).collect();
        let circumstances = Circumstances { drain: Duration::from_secs(30), ..circumstances.clone() };
        judge(sum, Some(Target::PerSecond(1_000)), &slos, &circumstances)
    }

    #[test]
    fn numbers_that_mean_what_they_say_and_keep_all_slos_are_a_success() {
        let judgement = judged(&sum(1_000, 0), &["P99<=1s", "LostPercent<=0"], &Circumstances::default());
        assert_eq!((judgement.verdict, judgement.reason), (Verdict::Succeeded, reasons::COMPLETED));
        assert_eq!(judgement.message, "1000 images, all answered; p95 50ms");
        assert!(judgement.slos.len() == 2 && judgement.slos.iter().all(|slo| slo.met));
    }

    #[test]
    fn a_quantile_wants_ten_images_above_it() {
        let judgement = judged(&sum(999, 0), &["P99<=1s"], &Circumstances::default());
        assert_eq!((judgement.verdict, judgement.reason), (Verdict::Invalid, reasons::TOO_FEW_SAMPLES));
        let sentence = judgement.message;
        assert!(sentence.starts_with("an SLO is on P99, for which 1000 images are wanted, and 999 were"), "{sentence}");
    }

    #[test]
    fn a_defect_explains_a_missed_slo_and_that_a_regression() {
        let mut comparison = Comparison::unknown("main", 10, "slower than \"main\"".into());
        comparison.verdict = RegressionVerdict::Regressed;
        let comparison = Circumstances { comparison: Some(&comparison), ..Circumstances::default() };
        let regressed = judged(&sum(1_000, 0), &["P95<=1s"], &comparison);
        assert_eq!((regressed.verdict, regressed.reason), (Verdict::Regressed, reasons::REGRESSED));
        assert_eq!(regressed.message, "slower than \"main\"");

        let missed = judged(&sum(1_000, 0), &["P95<=10ms"], &comparison);
        assert_eq!((missed.verdict, missed.reason), (Verdict::Missed, reasons::SLO_MISSED));
        assert_eq!(missed.message, "P95 is 50.015ms and was to be at most 10ms");
        assert_eq!(missed.measured.as_deref(), Some("1000 images, all answered; p95 50ms"), "another fact");

        let nothing = judged(&sum(1_000, 1_000), &["P95<=10ms"], &comparison);
        assert_eq!((nothing.verdict, nothing.reason), (Verdict::Invalid, reasons::NO_SAMPLES));

        let defect = Some(("PipelineChanged", "a pod was restarted".to_owned()));
        let defective = judged(&sum(1_000, 1_000), &["P95<=10ms"], &Circumstances { defect, ..comparison });
        assert_eq!((defective.verdict, defective.reason), (Verdict::Invalid, "PipelineChanged"));
        assert_eq!(defective.message, "a pod was restarted");
        assert_eq!(defective.slos, nothing.slos, "the observed values are shown anyway");
    }

    #[test]
    fn what_its_user_has_ended_is_nothing_else() {
        let missed = judged(&sum(1_000, 0), &["P95<=10ms"], &Circumstances::default());
        let aborted = missed.clone().aborted("ended".into());
        assert_eq!((aborted.verdict, aborted.reason, aborted.is_valid()), (Verdict::Aborted, reasons::ABORTED, false));
        assert_eq!(aborted.slos, missed.slos);
    }

    #[test]
    fn the_shell_is_told_of_everything_but_a_success() {
        let verdicts = [Verdict::Succeeded, Verdict::Invalid, Verdict::Missed, Verdict::Regressed, Verdict::Aborted];
        assert_eq!(verdicts.map(Verdict::exit_code), [0, 2, 3, 3, 4]);
        assert_eq!(verdicts.map(Verdict::is_valid), [true, false, true, true, false]);
    }
}
