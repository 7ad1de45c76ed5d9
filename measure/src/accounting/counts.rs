use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::signed;

/// Every image is accounted for: scheduled = sent + sendErrors, sent = received + lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Images that were due to be sent.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    #[serde(with = "signed::Count")]
    pub scheduled: u64,
    /// Images that Kafka acknowledged.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    #[serde(with = "signed::Count")]
    pub sent: u64,
    /// Images that Kafka did not accept.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    #[serde(with = "signed::Count")]
    pub send_errors: u64,
    /// Images that were answered, with a label or with an error.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    #[serde(with = "signed::Count")]
    pub received: u64,
    /// Images that were answered only after the end of the measurement, in the drain time; they are part of `received`.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    #[serde(with = "signed::Count")]
    pub drained: u64,
    /// Images that were sent and not answered in time.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    #[serde(with = "signed::Count")]
    pub lost: u64,
    /// Answers beyond the first one of an image.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    #[serde(with = "signed::Count")]
    pub duplicates: u64,
    /// Answers saying that the image could not be classified; they are part of `received`.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    #[serde(with = "signed::Count")]
    pub answer_errors: u64,
}

/// Images appear in the counts that came from nowhere, or vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountsDisagree {
    /// scheduled ≠ sent + send errors
    #[error(
        "of {scheduled} images scheduled, {sent} were sent and {send_errors} were not, which is not the same number"
    )]
    Sending {
        /// Images scheduled.
        scheduled: u64,
        /// Images sent.
        sent: u64,
        /// Images not sent.
        send_errors: u64,
    },
    /// sent ≠ received + lost
    #[error("of {sent} images sent, {received} were answered and {lost} were lost, which is not the same number")]
    Receiving {
        /// Images sent.
        sent: u64,
        /// Images answered.
        received: u64,
        /// Images lost.
        lost: u64,
    },
    /// answer errors > received
    #[error("{answer_errors} answers were errors, of only {received} answers")]
    AnswerErrors {
        /// Answers that were errors.
        answer_errors: u64,
        /// All answers.
        received: u64,
    },
    /// drained > received
    #[error("{drained} images were answered in the drain time, of only {received} answered")]
    Drained {
        /// Answers after the end of the measurement.
        drained: u64,
        /// All answers.
        received: u64,
    },
}

impl Counts {
    /// Whether the counts of a finished run close. On the way they do not: images are under way.
    ///
    /// # Errors
    /// The first sum that does not hold.
    pub fn check(&self) -> Result<(), CountsDisagree> {
        let Self { scheduled, sent, send_errors, received, drained, lost, answer_errors, .. } = *self;
        if sent.checked_add(send_errors) != Some(scheduled) {
            return Err(CountsDisagree::Sending { scheduled, sent, send_errors });
        }
        if received.checked_add(lost) != Some(sent) {
            return Err(CountsDisagree::Receiving { sent, received, lost });
        }
        if answer_errors > received {
            return Err(CountsDisagree::AnswerErrors { answer_errors, received });
        }
        if drained > received {
            return Err(CountsDisagree::Drained { drained, received });
        }
        Ok(())
    }

    /// Images answered before the end of the measurement, with a label or with an error.
    pub fn answered_in_time(&self) -> u64 {
        self.received.saturating_sub(self.drained)
    }

    /// Images without a label: those that could not be sent, were answered with an error, or were lost.
    pub fn unanswered(&self) -> u64 {
        self.send_errors + self.answer_errors + self.lost
    }

    /// Images answered with a label: those that have a finite latency.
    pub fn labelled(&self) -> u64 {
        self.received.saturating_sub(self.answer_errors)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.scheduled += other.scheduled;
        self.sent += other.sent;
        self.send_errors += other.send_errors;
        self.received += other.received;
        self.drained += other.drained;
        self.lost += other.lost;
        self.duplicates += other.duplicates;
        self.answer_errors += other.answer_errors;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: Counts = Counts {
        scheduled: 10,
        sent: 9,
        send_errors: 1,
        received: 7,
        drained: 3,
        lost: 2,
        duplicates: 3,
        answer_errors: 1,
    };

    #[test]
    fn counts_that_close_are_accepted() {
        assert_eq!(CLOSED.check(), Ok(()));
        assert_eq!((CLOSED.labelled(), CLOSED.unanswered(), CLOSED.answered_in_time()), (6, 4, 4));
    }

    #[test]
    fn counts_that_do_not_close_are_refused() {
        let vanished = Counts { sent: 8, ..CLOSED };
        assert_eq!(vanished.check(), Err(CountsDisagree::Sending { scheduled: 10, sent: 8, send_errors: 1 }));
        let unanswered = Counts { lost: 1, ..CLOSED };
        assert_eq!(unanswered.check(), Err(CountsDisagree::Receiving { sent: 9, received: 7, lost: 1 }));
        let too_many = Counts { answer_errors: 8, ..CLOSED };
        assert_eq!(too_many.check(), Err(CountsDisagree::AnswerErrors { answer_errors: 8, received: 7 }));
        let drained = Counts { drained: 8, ..CLOSED };
        assert_eq!(drained.check(), Err(CountsDisagree::Drained { drained: 8, received: 7 }));
        let huge = Counts { send_errors: u64::MAX, ..CLOSED };
        assert!(huge.check().is_err());
    }

    #[test]
    fn the_sum_of_counts_that_close_closes() {
        let mut sum = CLOSED;
        sum += CLOSED;
        assert_eq!(sum.check(), Ok(()));
        assert_eq!((sum.scheduled, sum.drained, sum.duplicates), (20, 6, 6));
    }

    #[test]
    fn in_the_api_counts_are_signed_and_come_back_as_they_were() {
        let json = serde_json::to_value(CLOSED).unwrap();
        assert_eq!((&json["sendErrors"], &json["answerErrors"]), (&1.into(), &1.into()));
        assert_eq!(serde_json::from_value::<Counts>(json).unwrap(), CLOSED);
    }

    #[test]
    fn a_count_that_the_other_side_cannot_hold_is_its_limit() {
        let json = serde_json::to_value(Counts { sent: u64::MAX, ..Counts::default() }).unwrap();
        assert_eq!(json["sent"].as_i64(), Some(i64::MAX));
        let counts: Counts = serde_json::from_str(r#"{ "lost": -1 }"#).unwrap();
        assert_eq!(counts, Counts::default());
    }
}
