//! Counts of images, between the types that measure and the types of the API.

use tailrace_measure::accounting::Counts;

use crate::load_test::Messages;

impl From<Counts> for Messages {
    fn from(counts: Counts) -> Self {
        Self {
            scheduled: signed(counts.scheduled),
            sent: signed(counts.sent),
            send_errors: signed(counts.send_errors),
            received: signed(counts.received),
            lost: signed(counts.lost),
            duplicates: signed(counts.duplicates),
            answer_errors: signed(counts.answer_errors),
        }
    }
}

impl From<&Messages> for Counts {
    fn from(messages: &Messages) -> Self {
        Self {
            scheduled: unsigned(messages.scheduled),
            sent: unsigned(messages.sent),
            send_errors: unsigned(messages.send_errors),
            received: unsigned(messages.received),
            lost: unsigned(messages.lost),
            duplicates: unsigned(messages.duplicates),
            answer_errors: unsigned(messages.answer_errors),
        }
    }
}

/// The number as the API has it, whose integers are signed.
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The number as it is counted; the schema admits no negative one.
pub fn unsigned(value: i64) -> u64 {
    value.max(0).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_as_they_were() {
        let counts =
            Counts { scheduled: 10, sent: 9, send_errors: 1, received: 7, lost: 2, duplicates: 3, answer_errors: 4 };
        assert_eq!(Counts::from(&Messages::from(counts)), counts);
    }

    #[test]
    fn a_count_that_the_other_side_cannot_hold_is_its_limit() {
        let counts = Counts { sent: u64::MAX, ..Counts::default() };
        assert_eq!(Messages::from(counts).sent, i64::MAX);
        let messages = Messages { lost: -1, ..Messages::default() };
        assert_eq!(Counts::from(&messages).lost, 0);
    }
}
