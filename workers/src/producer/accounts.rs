//! The ledger of this producer, as its threads share it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tailrace_measure::accounting::{Counts, Ledger, Record, Windows};

use super::clock::Clock;

/// Shared by the thread that sends, the one that receives, and Kafka's own, which acknowledges. It is held for no
/// longer than a few hash table operations.
#[derive(Clone, Debug)]
pub struct Accounts {
    ledger: Arc<Mutex<Ledger>>,
    clock: Arc<OnceLock<Clock>>,
    foreign: Arc<AtomicU64>,
}

impl Accounts {
    /// An empty ledger, which keeps a record of each image if these are wanted.
    pub fn new(warmup: Duration, measurement: Duration, with_records: bool) -> Self {
        let ledger = Ledger::new(warmup, measurement);
        let ledger = if with_records { ledger.with_records() } else { ledger };
        Self { ledger: Arc::new(Mutex::new(ledger)), clock: Arc::default(), foreign: Arc::default() }
    }

    /// From now on times are those of this clock. Nothing is sent before.
    pub fn start(&self, clock: Clock) {
        let _ = self.clock.set(clock);
    }

    /// The measurement ends now. No answer that came earlier is taken for a later one, nor the other way round, since
    /// the clock is read while nobody else can write.
    pub fn end_now(&self) -> Duration {
        let mut ledger = self.ledger();
        let now = self.clock.get().map(Clock::now).unwrap_or_default();
        ledger.end_at(now);
        now
    }

    /// For one entry. A thread that panicked while it wrote ends the whole run, so what it left does not matter.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kafka has the image, as of now.
    pub fn acknowledged(&self, sequence: u64) {
        let now = self.clock.get().map(Clock::now).unwrap_or_default();
        self.ledger().acknowledged(sequence, now);
    }

    /// Another Pipeline answered an image of this producer.
    pub fn answered_by_another(&self) {
        self.foreign.fetch_add(1, Ordering::Relaxed);
    }

    /// How many such answers there were.
    pub fn foreign_answers(&self) -> u64 {
        self.foreign.load(Ordering::Relaxed)
    }

    /// The counts so far.
    pub fn progress(&self) -> Counts {
        self.ledger().progress()
    }

    /// Closes the ledger; what comes later has come too late. Returns the records that nobody has taken, too.
    pub fn finish(&self) -> (Windows, Vec<Record>) {
        let empty = Ledger::new(Duration::ZERO, Duration::ZERO);
        std::mem::replace(&mut *self.ledger(), empty).finish()
    }
}
