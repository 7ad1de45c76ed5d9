//! Producers in one process that start at the same time.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use tailrace_crds::producer_report::Waiting;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::progress::Board;
use crate::producer::{Coordination, Progress, TestArgs};

/// From the time when all producers are ready to their common start.
const LEAD: SignedDuration = SignedDuration::from_millis(500);

/// What the producers of a test share.
pub struct Together {
    producers: u32,
    ready: AtomicU32,
    start: watch::Sender<Option<Timestamp>>,
    abort: CancellationToken,
    board: Mutex<Board>,
}

/// One producer's place among the others.
pub struct Place<'a> {
    together: &'a Together,
    index: u32,
}

impl Together {
    /// Nobody is ready yet.
    pub fn new(args: &TestArgs) -> Self {
        Self {
            producers: args.producers,
            ready: AtomicU32::new(0),
            start: watch::Sender::new(None),
            abort: CancellationToken::new(),
            board: Mutex::new(Board::new(args.producers, args.warmup + args.duration)),
        }
    }

    /// The place of the producer with this index.
    pub fn place(&self, index: u32) -> Place<'_> {
        Place { together: self, index }
    }

    /// The common start, once it is known.
    pub fn started(&self) -> Option<Timestamp> {
        *self.start.borrow()
    }

    /// Ends the sending of all producers.
    pub fn abort(&self) {
        self.abort.cancel();
    }

    /// Whether the sending was ended early.
    pub fn is_aborted(&self) -> bool {
        self.abort.is_cancelled()
    }
}

impl Coordination for Place<'_> {
    async fn claim(&self) -> anyhow::Result<()> {
        Ok(())
    }

    /// The log says it.
    async fn waits_for(&self, _waiting: Option<&Waiting>) -> bool {
        true
    }

    /// The last one to be ready sets the start.
    async fn common_start(&self) -> anyhow::Result<Timestamp> {
        let Together { producers, ready, start, .. } = self.together;
        let mut started = start.subscribe();
        if ready.fetch_add(1, Ordering::Relaxed) + 1 == *producers {
            tracing::info!(producers, "all producers are ready");
            start.send_replace(Some(Timestamp::now() + LEAD));
        }
        let known = started.wait_for(Option::is_some).await?;
        Ok(known.unwrap_or_else(Timestamp::now))
    }

    async fn progress(&self, progress: Progress) {
        let mut board = self.together.board.lock().unwrap_or_else(PoisonError::into_inner);
        let started = self.together.started().unwrap_or_else(Timestamp::now);
        if let Some(line) = board.enter(self.index, progress, Timestamp::now().duration_since(started)) {
            tracing::info!("{line}");
        }
    }

    async fn aborted(&self) {
        self.together.abort.cancelled().await;
    }
}
