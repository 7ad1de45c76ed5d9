//! The threads that are timed: they send images and take answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use jiff::Timestamp;
use tailrace_measure::schedule::Schedule;
use tokio_util::sync::CancellationToken;

use super::{
    accounts::Accounts,
    clock::Clock,
    connection::Connection,
    dataset::Dataset,
    outstanding::Outstanding,
    plan::{Closed, Load, Plan},
    replies::Replies,
};

/// How often is looked whether all answers are there, and how soon a thread sees that it is to end.
const DRAIN_POLL: Duration = Duration::from_millis(5);
const REPLY_POLL: Duration = Duration::from_millis(100);
/// How soon a closed load sees that a send has failed.
const FAILURE_POLL: Duration = Duration::from_millis(5);

/// Everything that a run needs.
pub struct Run {
    /// What to do.
    pub plan: Plan,
    /// Kafka.
    pub connection: Arc<Connection>,
    /// The images.
    pub dataset: Dataset,
    /// What became of them.
    pub accounts: Accounts,
    /// The time since the common start.
    pub clock: Clock,
}

/// What ends a run before its time.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// Everything, now: nobody wants the measurement any more.
    pub stop: CancellationToken,
    /// The sending: what was sent is measured.
    pub abort: CancellationToken,
}

impl Ending {
    fn of_sending(&self) -> bool {
        self.stop.is_cancelled() || self.abort.is_cancelled()
    }
}

/// How a run went.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    /// How much later than the common start it began by this node's wall clock, in microseconds; much if the start was
    /// learnt of too late.
    pub start_delay_micros: i64,
    /// How long was measured: as planned, or less if the run was aborted.
    pub measured: Duration,
}

impl Run {
    /// Waits for the start and runs the load to the end of its drain time, or until all answers are there, or until it
    /// is told to stop.
    pub fn execute(&self, start: Timestamp, ending: &Ending) -> Ran {
        let replies = Replies::new(&self.connection, &self.dataset, &self.accounts, &self.clock);
        self.clock.sleep_until(Duration::ZERO);
        let delay = Timestamp::now().duration_since(start);
        let end = match self.plan.load {
            Load::Open(schedule) => self.open(schedule, &replies, ending),
            Load::Closed(closed) => self.closed(closed, &replies, ending),
        };
        if replies.late() > 0 {
            tracing::warn!("{} answers came after their images were given up", replies.late());
        }
        let measured = end.min(self.plan.end()).saturating_sub(self.plan.warmup);
        Ran { start_delay_micros: i64::try_from(delay.as_micros()).unwrap_or(i64::MAX), measured }
    }

    /// One thread sends by the schedule and another one receives, so that neither waits for the other. Returns when the
    /// sending ended.
    fn open(&self, schedule: Schedule, replies: &Replies, ending: &Ending) -> Duration {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    replies.next(REPLY_POLL);
                }
            });
            let end = self.follow(schedule, ending);
            self.drain(end, &ending.stop);
            done.store(true, Ordering::Relaxed);
            end
        })
    }

    fn follow(&self, schedule: Schedule, ending: &Ending) -> Duration {
        for intended in schedule.offsets_before(self.plan.end()) {
            if !self.wait_until(intended, ending) {
                return self.accounts.end_now();
            }
            if self.clock.now() < self.plan.drain_end() {
                self.send(intended);
            } else {
                self.accounts.ledger().never_sent(intended);
            }
        }
        self.plan.end()
    }

    /// Whether that time was reached before the end of the sending.
    fn wait_until(&self, time: Duration, ending: &Ending) -> bool {
        while !ending.of_sending() && self.clock.now() + REPLY_POLL < time {
            self.clock.sleep_until(self.clock.now() + REPLY_POLL / 2);
        }
        if ending.of_sending() {
            return false;
        }
        self.clock.sleep_until(time);
        true
    }

    fn drain(&self, end: Duration, stop: &CancellationToken) {
        let waits = || self.accounts.ledger().expects_answers() && self.clock.now() < end + self.plan.drain;
        while !stop.is_cancelled() && waits() {
            thread::sleep(DRAIN_POLL);
        }
    }

    /// This thread sends and receives, so that the next image leaves as soon as the answer is there. An image that is
    /// not answered within the drain time is lost, and another one follows it, as it does one that could not be sent.
    /// Returns when the sending ended.
    fn closed(&self, closed: Closed, replies: &Replies, ending: &Ending) -> Duration {
        let mut outstanding = Outstanding::new(closed, self.plan.end(), self.plan.drain);
        let mut end = self.plan.end();
        while !ending.stop.is_cancelled() {
            let now = self.clock.now();
            if ending.abort.is_cancelled() && now < end {
                end = self.accounts.end_now();
                outstanding.end_at(end);
            }
            for sequence in self.accounts.ledger().take_failed() {
                outstanding.failed(sequence, now);
            }
            for sequence in outstanding.overdue(now) {
                self.accounts.ledger().give_up(sequence, now);
            }
            if let Some(intended) = outstanding.due(now) {
                outstanding.sent(self.send(intended), intended);
                continue;
            }
            let Some(next) = outstanding.next_event() else { break };
            if outstanding.is_empty() {
                self.clock.sleep_until(next.min(now + REPLY_POLL));
            } else if let Some(reply) = replies.next(patience(next.saturating_sub(now))) {
                outstanding.answered(reply.sequence, reply.at);
            }
        }
        end
    }

    /// The image is entered before it leaves, since its answer can be there before the call returns.
    fn send(&self, intended: Duration) -> u64 {
        let sequence = self.accounts.ledger().send(intended, self.clock.now());
        self.connection.send(self.dataset.picture(sequence), sequence);
        sequence
    }
}

/// How long an answer may be waited for where something else is due after `left`. Kafka's client knows only whole
/// milliseconds; less than one is spent in asking again and again, so that nothing is sent late.
fn patience(left: Duration) -> Duration {
    Duration::from_millis(u64::try_from(left.min(FAILURE_POLL).as_millis()).unwrap_or_default())
}
