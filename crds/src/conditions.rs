//! Condition types and reasons, in one place: tools and people rely on these strings.

/// Condition types.
pub mod types {
    /// Pipeline: an image really went through at this generation.
    pub const READY: &str = "Ready";
    /// Pipeline: the broker answers.
    pub const KAFKA_READY: &str = "KafkaReady";
    /// Pipeline: the topics exist with their partitions.
    pub const TOPICS_READY: &str = "TopicsReady";
    /// Pipeline: the database answers.
    pub const DATABASE_READY: &str = "DatabaseReady";
    /// Pipeline: the classifier is available.
    pub const INFERENCE_READY: &str = "InferenceReady";
    /// Pipeline: the db-consumer is available.
    pub const ARCHIVE_READY: &str = "ArchiveReady";
    /// Pipeline: the volumes are there, as large as the spec wants them, with room left.
    pub const STORAGE_READY: &str = "StorageReady";
    /// Pipeline: Kafka deleted nothing within the last hour that had still to be read.
    pub const RECORDS_KEPT: &str = "RecordsKept";
    /// Pipeline: no other Pipeline that the operator knows uses these topics of these brokers.
    pub const TOPICS_EXCLUSIVE: &str = "TopicsExclusive";
    /// Pipeline: a change waits for the end of the active LoadTest.
    pub const ROLLOUT_HELD: &str = "RolloutHeld";
    /// LoadTest: its Pipeline exists and is ready, and nothing else runs on it.
    pub const ACCEPTED: &str = "Accepted";
    /// LoadTest and Experiment: it is over, whatever came of it; `kubectl wait --for=condition=Finished` always returns.
    pub const FINISHED: &str = "Finished";
    /// LoadTest: the result keeps all SLOs of the spec.
    pub const SLOS_MET: &str = "SLOsMet";
    /// LoadTest: it finished, its result is valid and keeps its SLOs. Experiment: it finished with an answer.
    pub const SUCCEEDED: &str = "Succeeded";
    /// LoadTest: the numbers mean what they say.
    pub const RESULTS_VALID: &str = "ResultsValid";
    /// kstatus: still working towards the end.
    pub const RECONCILING: &str = "Reconciling";
    /// kstatus: ended without success.
    pub const STALLED: &str = "Stalled";
}

/// Reasons, which are also the reasons of the events.
pub mod reasons {
    pub use tailrace_measure::judgement::reasons::*;

    /// The Pipeline named by `pipelineRef` does not exist.
    pub const PIPELINE_NOT_FOUND: &str = "PipelineNotFound";
    /// The Pipeline exists and is not Ready.
    pub const PIPELINE_NOT_READY: &str = "PipelineNotReady";
    /// Another LoadTest runs on the Pipeline.
    pub const QUEUED: &str = "Queued";
    /// The LoadTest was accepted.
    pub const ACCEPTED: &str = "Accepted";
    /// Producers are being started, or a round of an Experiment begins.
    pub const STARTING: &str = "Starting";
    /// Load is being sent.
    pub const RUNNING: &str = "Running";
    /// Producers of another LoadTest still run on the Pipeline.
    pub const PIPELINE_BUSY: &str = "PipelineBusy";
    /// The producers did not become ready within `readyTimeout`.
    pub const READY_TIMEOUT: &str = "ReadyTimeout";
    /// A producer failed or did not report.
    pub const PRODUCER_FAILED: &str = "ProducerFailed";
    /// A pod of the Pipeline was restarted, replaced or added during the run, or a change of its spec or images was applied.
    pub const PIPELINE_CHANGED: &str = "PipelineChanged";
    /// The test is not to start yet, or the Experiment is to make no further one.
    pub const SUSPENDED: &str = "Suspended";
    /// The baseline does not exist, has no valid result, or has no histograms any more.
    pub const BASELINE_NOT_USABLE: &str = "BaselineNotUsable";
    /// A result keeps all SLOs.
    pub const SLOS_MET: &str = "SLOsMet";
    /// An Experiment waits before its next LoadTest.
    pub const COOLING_DOWN: &str = "CoolingDown";
    /// A LoadTest of an Experiment did not succeed.
    pub const TEST_FAILED: &str = "TestFailed";
    /// The object has a field that this version of Tailrace cannot read.
    pub const UNREADABLE: &str = "Unreadable";
    /// A LoadTest of an Experiment is made again, since its Pipeline changed while it ran.
    pub const TEST_REPEATED: &str = "TestRepeated";
    /// An object that is to be made has the name of one of somebody else, or of one that an earlier owner has left.
    pub const NAME_TAKEN: &str = "NameTaken";
    /// The API server refused an object.
    pub const REFUSED: &str = "Refused";
    /// The highest rate that keeps the SLOs lies between two rates that were tried.
    pub const FOUND: &str = "Found";
    /// Even the highest rate that was to be tried keeps the SLOs.
    pub const UPPER_BOUND_HELD: &str = "UpperBoundHeld";
    /// Not even the lowest rate that was to be tried keeps the SLOs.
    pub const LOWER_BOUND_MISSED: &str = "LowerBoundMissed";
    /// The producers were the limit, so nothing can be said about the Pipeline.
    pub const PRODUCERS_LIMITED: &str = "ProducersLimited";
    /// The LoadTests of a search contradict each other.
    pub const UNDECIDED: &str = "Undecided";
}

/// Reasons of warnings.
pub mod warnings {
    pub use tailrace_measure::warning::{
        FOREIGN_ANSWERS, GENERATOR_LATE, NOT_COUNTED, RECORDS_SKIPPED, SHARED, UNSTABLE,
    };

    /// The documents of a test with `keepDocuments: false` are still in the database.
    pub const DOCUMENTS_LEFT: &str = "DocumentsLeft";
    /// A producer of another test was on a node that does not answer, and was counted as gone.
    pub const NODE_LOST: &str = "NodeLost";
    /// The histograms of seconds of a LoadTest could not be kept.
    pub const HISTOGRAMS_NOT_KEPT: &str = "HistogramsNotKept";
}
