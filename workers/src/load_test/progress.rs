//! How a running test goes, in a line.

use std::time::Duration;

use jiff::SignedDuration;
use tailrace_measure::{accounting::Counts, display, histogram::LatencyHistogram, summary::summarize};

use crate::producer::Progress;

/// What the producers have said last.
pub struct Board {
    counts: Vec<Counts>,
    recent: LatencyHistogram,
    waited_for: Vec<bool>,
    length: Duration,
}

impl Board {
    /// Of so many producers, who send for so long.
    pub fn new(producers: u32, length: Duration) -> Self {
        let producers = producers as usize;
        Self {
            counts: vec![Counts::default(); producers],
            recent: LatencyHistogram::new(),
            waited_for: vec![true; producers],
            length,
        }
    }

    /// Enters what a producer says; a line as soon as every producer has said something since the line before.
    pub fn enter(&mut self, index: u32, progress: Progress, elapsed: SignedDuration) -> Option<String> {
        let index = index as usize;
        *self.counts.get_mut(index)? = progress.counts;
        self.recent.add(&progress.recent);
        *self.waited_for.get_mut(index)? = false;
        if self.waited_for.contains(&true) {
            return None;
        }
        self.waited_for.fill(true);
        Some(self.line(elapsed))
    }

    fn line(&mut self, elapsed: SignedDuration) -> String {
        let recent = std::mem::take(&mut self.recent);
        let mut sum = Counts::default();
        self.counts.iter().for_each(|counts| sum += *counts);
        let p95 = summarize(&recent, recent.count()).p95.map_or_else(|| "not known".to_owned(), display::micros);
        let left = self.length.saturating_sub(Duration::try_from(elapsed).unwrap_or_default());
        let left = if left.is_zero() { "waiting for answers".to_owned() } else { format!("{} s left", left.as_secs()) };
        format!("{} images sent, {} answered, recent p95 {p95}, {left}", sum.sent, sum.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(sent: u64, micros: u64) -> Progress {
        let mut recent = LatencyHistogram::new();
        recent.record(micros).unwrap();
        let counts = Counts { scheduled: sent, sent, received: sent - 1, ..Counts::default() };
        Progress { counts, recent, since: Duration::from_secs(2) }
    }

    #[test]
    fn a_line_is_for_all_producers() {
        let mut board = Board::new(2, Duration::from_secs(40));
        let elapsed = SignedDuration::from_secs;
        assert_eq!(board.enter(0, progress(40, 2_000), elapsed(2)), None);
        assert_eq!(board.enter(0, progress(80, 2_000), elapsed(4)), None, "the other one has said nothing yet");
        let line = board.enter(1, progress(60, 3_000), elapsed(4)).unwrap();
        assert_eq!(line, "140 images sent, 138 answered, recent p95 3.0ms, 36 s left");
        board.enter(0, progress(800, 1_000), elapsed(41));
        let line = board.enter(1, progress(800, 1_000), elapsed(41)).unwrap();
        assert!(line.ends_with("recent p95 1.0ms, waiting for answers"), "{line}");
    }
}
