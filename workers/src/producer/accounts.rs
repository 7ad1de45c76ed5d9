//! The ledger of this producer, as its threads share it.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tailrace_measure::accounting::{Counts, Ledger, Windows};

/// Shared by the thread that sends, the one that receives, and Kafka's own, which acknowledges. It is held for no longer
/// than a few hash table operations.
#[derive(Clone, Debug)]
pub struct Accounts(Arc<Mutex<Ledger>>);

impl Accounts {
    /// An empty ledger.
    pub fn new(warmup: Duration) -> Self {
        Self(Arc::new(Mutex::new(Ledger::new(warmup))))
    }

    /// For one entry. A thread that panicked while it wrote ends the whole run, so what it left does not matter.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts so far.
    pub fn progress(&self) -> Counts {
        self.ledger().progress()
    }

    /// Closes the ledger; what comes later has come too late.
    pub fn finish(&self) -> Windows {
        mem::replace(&mut *self.ledger(), Ledger::new(Duration::ZERO)).finish()
    }
}
