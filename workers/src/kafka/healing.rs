//! Which errors of Kafka may pass by themselves.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Whether the same request may succeed later without anybody's changing a setting, a permission or a version.
///
/// What is not known here may heal: waiting for it costs time, to a deadline, and giving up costs the work.
#[must_use]
pub fn can_heal(error: &KafkaError) -> bool {
    match error {
        KafkaError::ClientConfig(..)
        | KafkaError::ClientCreation(_)
        | KafkaError::AdminOpCreation(_)
        | KafkaError::Nul(_)
        | KafkaError::MessageConsumptionFatal(_) => false,
        error => code(error).is_none_or(code_can_heal),
    }
}

/// The code of an error, if it has one.
#[must_use]
pub fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        error => error.rdkafka_error_code(),
    }
}

/// The same of an error's code.
#[must_use]
pub fn code_can_heal(code: RDKafkaErrorCode) -> bool {
    !is_refused(code) && !is_unknown_to_the_broker(code) && !is_wrong(code)
}

/// Who this client is, or what it may do.
fn is_refused(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::SecurityDisabled
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::DelegationTokenAuthDisabled
            | Code::DelegationTokenNotFound
            | Code::DelegationTokenOwnerMismatch
            | Code::DelegationTokenRequestNotAllowed
            | Code::DelegationTokenAuthorizationFailed
            | Code::DelegationTokenExpired
            | Code::InvalidPrincipalType
            | Code::UnacceptableCredential
    )
}

/// What the broker, or this build of the client, has not.
fn is_unknown_to_the_broker(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::UnsupportedVersion
            | Code::UnsupportedFeature
            | Code::UnsupportedForMessageFormat
            | Code::UnsupportedCompressionType
            | Code::UnsupportedAssignor
            | Code::UnknownProtocol
            | Code::NotImplemented
            | Code::NotConfigured
            | Code::TopicDeletionDisabled
    )
}

/// What is wrong with the request itself, or with the client that sends it.
fn is_wrong(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::InvalidArgument
            | Code::InvalidType
            | Code::InvalidTopic
            | Code::InvalidPartitions
            | Code::InvalidReplicaAssignment
            | Code::InvalidConfig
            | Code::InvalidRequest
            | Code::InvalidRequiredAcks
            | Code::InvalidGroupId
            | Code::InvalidSessionTimeout
            | Code::InvalidCommitOffsetSize
            | Code::InvalidTimestamp
            | Code::InvalidTransactionTimeout
            | Code::InvalidRecord
            | Code::InvalidUpdateVersion
            | Code::PolicyViolation
            | Code::DuplicateResource
            | Code::InconsistentGroupProtocol
            | Code::MessageSizeTooLarge
            | Code::MessageBatchTooLarge
            | Code::OffsetMetadataTooLarge
            | Code::TelemetryTooLarge
            | Code::KeySerialization
            | Code::ValueSerialization
            | Code::KeyDeserialization
            | Code::ValueDeserialization
            | Code::ReadOnly
            | Code::Fatal
            | Code::Fenced
            | Code::ProducerFenced
            | Code::FencedInstanceId
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rdkafka::{ClientConfig, consumer::BaseConsumer, types::RDKafkaRespErr};

    use super::*;

    /// Kafka's own table of codes says which errors are retriable; these are the numbers of those that are not, and of
    /// what librdkafka adds, that no time heals.
    /// Source: <https://kafka.apache.org/protocol#protocol_error_codes>.
    const FOR_EVER: [i32; 57] = [
        // librdkafka's own.
        -186, -171, -170, -169, -165, -162, -161, -160, -159, -157, -154, -150, -145, -144,
        // Sizes, names and values.
        10, 12, 17, 18, 21, 23, 24, 26, 28, 32, 37, 39, 40, 42, 44, 50, 87, 92, 95, 118,
        // Permissions and identity.
        29, 30, 31, 33, 34, 53, 54, 58, 61, 62, 63, 64, 65, 66, 67, 93, // Versions and features.
        35, 43, 73, 76, 112, // Another one has taken its place.
        82, 90,
    ];

    /// Every code that librdkafka has.
    fn codes() -> impl Iterator<Item = RDKafkaErrorCode> {
        (-200..=200).filter_map(|number| RDKafkaRespErr::try_from(number).ok()).map(RDKafkaErrorCode::from)
    }

    #[test]
    fn of_all_codes_those_for_ever_do_not_heal_and_all_others_may() {
        let never: BTreeSet<i32> = codes().filter(|code| !code_can_heal(*code)).map(|code| code as i32).collect();
        assert_eq!(never, BTreeSet::from(FOR_EVER));
        assert!(codes().count() > 150, "librdkafka has more codes than that");
    }

    #[test]
    fn what_a_slow_or_restarted_broker_says_may_heal() {
        use RDKafkaErrorCode as Code;
        for code in [
            Code::OperationTimedOut,
            Code::TimedOutQueue,
            Code::RequestTimedOut,
            Code::MessageTimedOut,
            Code::BrokerTransportFailure,
            Code::AllBrokersDown,
            Code::Resolve,
            Code::NetworkException,
            Code::LeaderNotAvailable,
            Code::NotLeaderForPartition,
            Code::BrokerNotAvailable,
            Code::CoordinatorLoadInProgress,
            Code::CoordinatorNotAvailable,
            Code::NotCoordinator,
            Code::NotController,
            Code::WaitingForCoordinator,
            Code::RebalanceInProgress,
            Code::UnknownTopicOrPartition,
            Code::UnknownTopic,
            Code::UnknownPartition,
            Code::NotEnoughReplicas,
            Code::InvalidReplicationFactor,
            Code::ThrottlingQuotaExceeded,
            Code::KafkaStorageError,
        ] {
            for error in [KafkaError::MetadataFetch(code), KafkaError::OffsetFetch(code), KafkaError::AdminOp(code)] {
                assert!(can_heal(&error), "{error}");
            }
        }
    }

    #[test]
    fn a_setting_that_no_client_has_does_not_heal_and_a_refusal_does_not_in_any_request() {
        let unknown = ClientConfig::new().set("no.such.setting", "1").create::<BaseConsumer>();
        assert!(unknown.is_err_and(|error| !can_heal(&error)));
        let refused = RDKafkaErrorCode::TopicAuthorizationFailed;
        for error in [
            KafkaError::MetadataFetch(refused),
            KafkaError::OffsetFetch(refused),
            KafkaError::AdminOp(refused),
            KafkaError::MessageProduction(refused),
            KafkaError::Global(RDKafkaErrorCode::Authentication),
            KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::OperationTimedOut),
        ] {
            assert!(!can_heal(&error), "{error}");
        }
        assert!(can_heal(&KafkaError::Canceled));
    }
}
