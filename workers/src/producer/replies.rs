//! Takes answers and enters them into the ledger.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use rdkafka::consumer::BaseConsumer;
use tailrace_measure::accounting::{self, Answered, Outcome};
use tailrace_wire::{Answer, AnswerEvent};

use super::{accounts::Accounts, clock::Clock, connection::Connection, dataset::Dataset};

/// The answers of one run.
pub struct Replies<'a> {
    connection: &'a Connection,
    dataset: &'a Dataset,
    accounts: &'a Accounts,
    clock: &'a Clock,
    late: AtomicU64,
    unreadable: AtomicBool,
}

/// The first answer to an image of this producer.
pub struct Reply {
    /// The number of the image.
    pub sequence: u64,
    /// When the answer was received.
    pub at: Duration,
}

impl<'a> Replies<'a> {
    /// The answers that come over this connection.
    pub fn new(connection: &'a Connection, dataset: &'a Dataset, accounts: &'a Accounts, clock: &'a Clock) -> Self {
        Self { connection, dataset, accounts, clock, late: AtomicU64::new(0), unreadable: AtomicBool::new(false) }
    }

    /// Waits for one record, for at most `timeout`. None if there was none, or if it is not the first answer to an
    /// image of this producer.
    pub fn next(&self, timeout: Duration) -> Option<Reply> {
        let consumer: &BaseConsumer = &self.connection.replies;
        let polled = consumer.poll(timeout)?;
        let at = self.clock.now();
        let record = polled.inspect_err(|error| tracing::warn!("receiving answers: {error}")).ok()?;
        let event = AnswerEvent::from_record(&record).inspect_err(|error| self.complain(error)).ok()?;
        let sequence = self.connection.own_sequence(&event.subject)?;
        if !self.connection.is_of_pipeline(event.pipeline.as_deref()) {
            self.accounts.answered_by_another();
            return None;
        }
        let answer = accounting::Answer {
            outcome: self.outcome(sequence, &event.answer),
            queue: Duration::from_micros(event.queue_micros),
            compute: Duration::from_micros(event.compute_micros),
        };
        let answered = self.accounts.ledger().answered(sequence, at, answer);
        match answered {
            Answered::First => return Some(Reply { sequence, at }),
            Answered::Late => drop(self.late.fetch_add(1, Ordering::Relaxed)),
            Answered::Unknown => tracing::warn!("an answer to image {sequence}, which was not sent"),
            Answered::Duplicate => {}
        }
        None
    }

    /// How many answers came after their images were given up.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    fn outcome(&self, sequence: u64, answer: &Answer) -> Outcome {
        match answer {
            Answer::Failed { .. } => Outcome::Error,
            Answer::Label(answer) => match &self.dataset.picture(sequence).label {
                Some(label) if **label == answer.label => Outcome::Correct,
                Some(_) => Outcome::Wrong,
                None => Outcome::Unlabelled,
            },
        }
    }

    fn complain(&self, error: &dyn std::error::Error) {
        if !self.unreadable.swap(true, Ordering::Relaxed) {
            tracing::warn!("a record on the answers' partition is skipped: {error}; further ones are skipped silently");
        }
    }
}
