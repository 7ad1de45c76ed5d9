//! What should be known before numbers are used, though they mean what they say.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    display,
    lateness::Lateness,
    stability::{Growth, growing_backlog, left_behind},
    sum::Sum,
    validity::is_throttled_too_long,
};

/// Images still piled up at the end.
pub const UNSTABLE: &str = "Unstable";
/// The producers were late, or throttled, but do not decide the percentiles.
pub const GENERATOR_LATE: &str = "GeneratorLate";
/// The Pipeline had other images to classify, or shared a node with the producers.
pub const SHARED: &str = "Shared";
/// Another Pipeline answered images of this test, too.
pub const FOREIGN_ANSWERS: &str = "ForeignAnswers";
/// Kafka deleted records before they were read.
pub const RECORDS_SKIPPED: &str = "RecordsSkipped";
/// Nobody knows whether the Pipeline had other images to classify.
pub const NOT_COUNTED: &str = "NotCounted";

/// A warning about a result that is valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// `Unstable`: the queue was still growing at the end, so the percentiles depend on the duration. `GeneratorLate`: the
    /// producers were late or CPU-throttled, by less than would make the result invalid. `Shared`: the Pipeline
    /// had other images to classify, or shared a node with the producers. `DocumentsLeft`: the documents could not be deleted
    /// from the database. `NodeLost`: a producer of another LoadTest was on a node that does not respond, and was counted as
    /// gone. `HistogramsNotKept`: the ConfigMap with the one-second histograms could not be created. `NotCounted`: Kafka did
    /// not report how many records were produced to the images topic.
    pub reason: String,
    /// One sentence with the numbers.
    pub message: String,
}

/// What the numbers themselves warn of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// The backlog grew to the end.
    Unstable(Growth),
    /// More than a second's worth waited at the end, and took so long to be answered.
    LeftBehind(u64, Option<u64>),
    /// The producers have their share in a percentile.
    GeneratorLate(Lateness),
    /// A CPU limit kept the producers from running for so long.
    Throttled(Duration),
    /// So many images of other sources went through the same topic.
    ForeignImages(u64),
    /// So many answers came from other Pipelines.
    ForeignAnswers(u64),
    /// So many records were deleted before they were read.
    RecordsSkipped(u64),
    /// Kafka did not say how many images went through the topic.
    ImagesNotCounted,
}

/// What the numbers themselves tell.
pub fn warnings(sum: &Sum) -> Vec<Warning> {
    let left_behind = || left_behind(sum).map(|images| Seen::LeftBehind(images, sum.tally.backlog.catch_up_micros));
    let unstable = growing_backlog(&sum.intervals).map(Seen::Unstable).or_else(left_behind);
    let not_counted = sum.topic_records.is_none() && sum.tally.counts.scheduled > 0;
    let some = |count: u64| (count > 0).then_some(count);
    let late = Lateness::of(&sum.latency(), &sum.service_latency());
    let late = late.filter(|lateness| lateness.is_worth_a_word() && !lateness.is_too_much());
    let throttled = |throttled: &Duration| !throttled.is_zero() && !is_throttled_too_long(*throttled, sum.measured);
    unstable
        .into_iter()
        .chain(late.map(Seen::GeneratorLate))
        .chain(sum.throttled.filter(throttled).map(Seen::Throttled))
        .chain(sum.foreign_images().map(Seen::ForeignImages))
        .chain(some(sum.foreign_answers).map(Seen::ForeignAnswers))
        .chain(sum.skipped_records.and_then(some).map(Seen::RecordsSkipped))
        .chain(not_counted.then_some(Seen::ImagesNotCounted))
        .map(|seen| Warning { reason: seen.reason().to_owned(), message: seen.to_string() })
        .collect()
}

impl Seen {
    /// One word.
    fn reason(&self) -> &'static str {
        match self {
            Self::Unstable(_) | Self::LeftBehind(..) => UNSTABLE,
            Self::GeneratorLate(_) | Self::Throttled(_) => GENERATOR_LATE,
            Self::ForeignImages(_) => SHARED,
            Self::ForeignAnswers(_) => FOREIGN_ANSWERS,
            Self::RecordsSkipped(_) => RECORDS_SKIPPED,
            Self::ImagesNotCounted => NOT_COUNTED,
        }
    }
}

/// One sentence.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unstable(Growth { backlog, per_second }) => write!(
                f,
                "images piled up to the end, by {per_second:.1} a second to {backlog}: the percentiles depend on how long was measured, so lower the rate"
            ),
            Self::LeftBehind(images, catch_up) => write!(
                f,
                "{images} images waited at the end of the measurement, more than a second's worth and more than before{}: the percentiles depend on how long was measured, so lower the rate",
                catch_up.map(|micros| format!(", and were answered within {}", display::micros(micros))).unwrap_or_default()
            ),
            Self::GeneratorLate(lateness) => {
                write!(f, "the producers were late for their schedule: their lateness is {lateness}")
            }
            Self::Throttled(throttled) => write!(
                f,
                "a CPU limit kept the producers from running for {}, which is measured as latency: raise it, or remove it",
                display::duration(*throttled)
            ),
            Self::ForeignImages(count) => write!(
                f,
                "the topic got {count} images of other sources during the run, which took their share of the Pipeline"
            ),
            Self::ForeignAnswers(count) => write!(
                f,
                "{count} answers came from another Pipeline on the same topics and are not counted: give each Pipeline topics of its own"
            ),
            Self::RecordsSkipped(count) => write!(
                f,
                "Kafka deleted {count} records before the classifier or the archive had read them: lower the rate, or give the topics more room"
            ),
            Self::ImagesNotCounted => f.write_str(
                "Kafka did not say how many images the topic got during the run: whether those of other sources took their \
                 share of the Pipeline is not known",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(foreign_answers: u64, skipped_records: Option<u64>) -> Vec<Warning> {
        warnings(&Sum { foreign_answers, skipped_records, ..Sum::of(vec![]).unwrap() })
    }

    #[test]
    fn strangers_and_what_was_skipped_are_warned_of_with_their_number() {
        assert_eq!(found(0, None), []);
        assert_eq!(found(0, Some(0)), []);
        let [Warning { reason, message }] = &found(1290, None)[..] else { panic!("one warning") };
        assert!(
            reason == FOREIGN_ANSWERS && message.starts_with("1290 answers came from another Pipeline"),
            "{message}"
        );
        let [Warning { reason, message }] = &found(0, Some(40))[..] else { panic!("one warning") };
        assert!(reason == RECORDS_SKIPPED && message.starts_with("Kafka deleted 40 records"), "{message}");
    }

    #[test]
    fn what_kafka_did_not_say_is_not_known_and_is_no_number() {
        let mut sum = Sum { topic_records: None, ..Sum::of(vec![]).unwrap() };
        sum.tally.counts.scheduled = 10;
        assert_eq!(sum.foreign_images(), None);
        let [Warning { reason, .. }] = &warnings(&sum)[..] else { panic!("one warning") };
        assert_eq!(reason, NOT_COUNTED);
        assert_eq!(warnings(&Sum { topic_records: Some(0), ..sum }), []);
    }
}
