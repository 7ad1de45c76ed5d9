//! Errors of Kafka's client that last.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::readiness::{Part, Readiness, Reason, Trouble};

/// An error that did not come again for so long is over, unless it is one that Kafka's client says only once.
const QUIET: Duration = Duration::from_secs(15);

/// The errors that come instead of records.
pub struct Errors {
    readiness: Readiness,
    after: Duration,
    lasting: Option<Lasting>,
}

struct Lasting {
    trouble: Trouble,
    first: Instant,
    last: Instant,
}

impl Errors {
    /// None yet. The process is not ready when they have lasted for `after`.
    pub fn new(readiness: Readiness, after: Duration) -> Self {
        Self { readiness, after, lasting: None }
    }

    /// An error came instead of a record.
    pub fn came(&mut self, error: &KafkaError, now: Instant) {
        let Some(trouble) = judge(error) else { return };
        let first = self.lasting.as_ref().map_or(now, |lasting| lasting.first);
        self.lasting = Some(Lasting { trouble, first, last: now });
        self.say(now);
    }

    /// Nothing came.
    pub fn nothing_came(&mut self, now: Instant) {
        let is_over = |lasting: &Lasting| {
            lasting.trouble.reason != Reason::NotAuthorized && now.duration_since(lasting.last) > QUIET
        };
        if self.lasting.as_ref().is_some_and(is_over) {
            self.over();
        }
        self.say(now);
    }

    /// A record came. That says nothing about the other partitions, but the group may be read.
    pub fn record_came(&mut self, now: Instant) {
        if self.lasting.as_ref().is_some_and(|lasting| lasting.trouble.reason == Reason::NotAuthorized) {
            self.over();
        }
        self.nothing_came(now);
    }

    fn say(&self, now: Instant) {
        if let Some(Lasting { trouble, first, .. }) = &self.lasting
            && now.duration_since(*first) >= self.after
        {
            self.readiness.trouble(Part::Reading, trouble.clone());
        }
    }

    fn over(&mut self) {
        self.lasting = None;
        self.readiness.fine(Part::Reading);
    }
}

/// None of what the probe of the topics says better, and of what passes by itself.
fn judge(error: &KafkaError) -> Option<Trouble> {
    use RDKafkaErrorCode as Code;
    let KafkaError::MessageConsumption(code) = error else {
        return Some(Trouble::new(Reason::ConsumerError, format!("Kafka's client cannot read: {error}")));
    };
    let (reason, message) = match code {
        Code::AllBrokersDown
        | Code::BrokerTransportFailure
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::PollExceeded
        | Code::PartitionEOF => return None,
        Code::NotImplemented | Code::UnsupportedCompressionType => (
            Reason::UnsupportedCodec,
            format!("records came in a compression that this build cannot read (it reads {})", super::codecs()),
        ),
        Code::TopicAuthorizationFailed => (
            Reason::NotAuthorized,
            "Kafka does not let this client read the topics: allow Read and Describe".to_owned(),
        ),
        Code::GroupAuthorizationFailed => {
            (Reason::NotAuthorized, "Kafka does not let this client into its consumer group: allow Read".to_owned())
        }
        Code::SaslAuthenticationFailed | Code::Authentication | Code::ClusterAuthorizationFailed => {
            (Reason::NotAuthorized, format!("Kafka does not let this client in: {code}"))
        }
        Code::BadMessage | Code::BadCompression | Code::InvalidMessage | Code::InvalidMessageSize => {
            (Reason::CorruptRecord, format!("a record cannot be read and stands in the way: {code}"))
        }
        code => (Reason::ConsumerError, format!("Kafka's client cannot read: {code}")),
    };
    Some(Trouble::new(reason, message))
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    const AFTER: Duration = Duration::from_secs(30);

    fn errors() -> (Errors, Readiness, Instant) {
        let readiness = Readiness::new(CancellationToken::new());
        readiness.fine(Part::Start);
        (Errors::new(readiness.clone(), AFTER), readiness, Instant::now())
    }

    fn error(code: RDKafkaErrorCode) -> KafkaError {
        KafkaError::MessageConsumption(code)
    }

    #[test]
    fn errors_that_last_are_said_and_end_when_they_do() {
        let (mut errors, readiness, begun) = errors();
        for second in 0..30 {
            errors.came(&error(RDKafkaErrorCode::BadMessage), begun + Duration::from_secs(second));
            errors.record_came(begun + Duration::from_secs(second));
            assert_eq!(readiness.why_not(), None, "after {second} s");
        }
        errors.came(&error(RDKafkaErrorCode::BadMessage), begun + AFTER);
        assert_eq!(readiness.why_not().map(|trouble| trouble.reason), Some(Reason::CorruptRecord));
        errors.nothing_came(begun + AFTER + QUIET);
        assert!(readiness.why_not().is_some());
        errors.nothing_came(begun + AFTER + QUIET + Duration::from_secs(1));
        assert_eq!(readiness.why_not(), None);
    }

    #[test]
    fn a_refusal_is_said_only_once_and_lasts_until_something_is_read() {
        let (mut errors, readiness, begun) = errors();
        errors.came(&error(RDKafkaErrorCode::GroupAuthorizationFailed), begun);
        errors.nothing_came(begun + 2 * AFTER);
        assert_eq!(readiness.why_not().map(|trouble| trouble.reason), Some(Reason::NotAuthorized));
        errors.record_came(begun + 3 * AFTER);
        assert_eq!(readiness.why_not(), None);
    }

    #[test]
    fn every_kind_of_error_has_its_reason() {
        use RDKafkaErrorCode as Code;
        for (code, reason) in [
            (Code::NotImplemented, Some(Reason::UnsupportedCodec)),
            (Code::BadCompression, Some(Reason::CorruptRecord)),
            (Code::BadMessage, Some(Reason::CorruptRecord)),
            (Code::TopicAuthorizationFailed, Some(Reason::NotAuthorized)),
            (Code::UnknownMemberId, Some(Reason::ConsumerError)),
            (Code::AllBrokersDown, None),
        ] {
            assert_eq!(judge(&error(code)).map(|trouble| trouble.reason), reason, "{code:?}");
        }
    }
}
