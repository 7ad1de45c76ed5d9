//! The reasons of a Pipeline's conditions and events, but for those that are a kubelet's or a scheduler's own words.
//! Ready also has `KafkaNotReady`, `TopicsNotReady`, `DatabaseNotReady`, `InferenceNotReady` and `ArchiveNotReady`.

/// An image went through.
pub const CHECKED: &str = "Checked";
/// An image is on its way.
pub const CHECKING: &str = "Checking";
/// The image did not come through.
pub const CHECK_FAILED: &str = "CheckFailed";
/// The spec says something that cannot be built.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// The API server refused an object.
pub const REFUSED: &str = "Refused";
/// The name of an object is somebody else's.
pub const NAME_TAKEN: &str = "NameTaken";
/// The API server refused a pod.
pub const POD_REFUSED: &str = "PodRefused";
/// All pods are ready.
pub const AVAILABLE: &str = "Available";
/// Pods are starting.
pub const STARTING: &str = "Starting";
/// The topics were found or made.
pub const TOPICS_EXIST: &str = "TopicsExist";
/// The topics could not be made.
pub const TOPICS_FAILED: &str = "TopicsFailed";
/// A server that is not the operator's answered.
pub const ANSWERED: &str = "Answered";
/// A server that is not the operator's has not answered yet.
pub const CONNECTING: &str = "Connecting";
/// A change is being applied.
pub const ROLLING_OUT: &str = "RollingOut";
/// A change waits for the end of a LoadTest.
pub const LOAD_TEST_ACTIVE: &str = "LoadTestActive";
/// No change waits.
pub const NOTHING_HELD: &str = "NothingHeld";
/// The spec does not want it.
pub const DISABLED: &str = "Disabled";

/// All volumes are as the spec wants them.
pub const BOUND: &str = "Bound";
/// A volume is being expanded.
pub const EXPANDING: &str = "Expanding";
/// A volume is smaller than the spec wants it and cannot grow.
pub const TOO_SMALL: &str = "TooSmall";
/// Less than a fifth of a volume is free.
pub const ALMOST_FULL: &str = "AlmostFull";
/// Nothing was deleted before it was read.
pub const NOTHING_SKIPPED: &str = "NothingSkipped";
/// Kafka deleted records before they were read.
pub const RECORDS_SKIPPED: &str = "RecordsSkipped";
/// No other Pipeline uses the topics.
pub const NOT_SHARED: &str = "NotShared";
/// Another Pipeline uses the topics.
pub const SHARED: &str = "Shared";
/// No server can start on a volume.
pub const UNUSABLE: &str = "Unusable";

/// The reason of Ready while the condition `type_` of a part does not hold, such as `KafkaNotReady`.
pub fn not_ready(type_: &str) -> String {
    format!("{}NotReady", type_.trim_end_matches("Ready"))
}

/// The reason of the event that the condition does not hold: events of one reason are counted as one, so it names the
/// part.
pub fn of_event(type_: &str, reason: &str) -> String {
    if type_.ends_with("Ready") { not_ready(type_) } else { format!("{type_}{reason}") }
}

/// Whether a condition with this reason is part of a normal start and needs nobody's attention.
pub fn is_calm(reason: &str) -> bool {
    const CALM: [&str; 12] = [
        CHECKED,
        CHECKING,
        AVAILABLE,
        STARTING,
        TOPICS_EXIST,
        ANSWERED,
        CONNECTING,
        DISABLED,
        BOUND,
        EXPANDING,
        ROLLING_OUT,
        NOTHING_HELD,
    ];
    CALM.contains(&reason) || reason.ends_with("NotReady")
}
