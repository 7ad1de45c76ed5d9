use std::time::Duration;

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it is right.
    pub outcome: Outcome,
    /// From the image's arrival at the classifier to the start of its batch, by the classifier's clock.
    pub queue: Duration,
    /// How long its batch took, by the classifier's clock.
    pub compute: Duration,
}

/// Whether an answer is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The right label.
    Correct,
    /// Another label.
    Wrong,
    /// A label, where nobody knows the right one.
    Unlabelled,
    /// The image could not be classified.
    Error,
}

/// What an answer was to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The first answer of its image.
    First,
    /// The image had been answered before.
    Duplicate,
    /// The image had been given up as lost, and stays so.
    Late,
    /// No such image was ever sent.
    Unknown,
}

/// Everything about one image of which no more is to come. All times count from the common start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// Its number, from 0.
    pub sequence: u64,
    /// Whether it belongs to the measurement, and not to the warm-up.
    pub measured: bool,
    /// When it was to be sent.
    pub intended: Duration,
    /// When it was handed to Kafka's client; none if it never was.
    pub sent: Option<Duration>,
    /// When Kafka had it, if that was heard.
    pub acknowledged: Option<Duration>,
    /// When its answer came, and what it said.
    pub answered: Option<(Duration, Answer)>,
    /// Whether it counts as lost, and not as a send error, where it has no answer.
    pub lost: bool,
}

/// An image of which more is to come: its answer, or the word about its delivery.
#[derive(Debug)]
pub(super) struct Image {
    pub intended: Duration,
    pub sent: Duration,
    pub delivery: Delivery,
    pub answered: Option<(Duration, Answer)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Delivery {
    Pending,
    Acknowledged(Duration),
    Failed,
}

impl Image {
    pub fn new(intended: Duration, sent: Duration) -> Self {
        Self { intended, sent, delivery: Delivery::Pending, answered: None }
    }

    /// Whether its answer may still come: nobody has answered, and Kafka has it, or may have it.
    pub fn expects_answer(&self) -> bool {
        self.answered.is_none() && self.delivery != Delivery::Failed
    }

    /// Whether nothing more is to come.
    pub fn is_settled(&self) -> bool {
        self.answered.is_some() && self.delivery != Delivery::Pending
    }

    pub fn record(&self, sequence: u64, measured: bool) -> Record {
        let acknowledged = match self.delivery {
            Delivery::Acknowledged(at) => Some(at),
            Delivery::Pending | Delivery::Failed => None,
        };
        Record {
            sequence,
            measured,
            intended: self.intended,
            sent: Some(self.sent),
            acknowledged,
            answered: self.answered,
            lost: self.answered.is_none() && acknowledged.is_some(),
        }
    }
}
