//! Which images were taken from Kafka and are not answered yet, so that no offset is committed before its answer.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

/// Offsets of one topic, by partition.
#[derive(Default)]
pub struct InFlight {
    partitions: Mutex<HashMap<i32, Partition>>,
    finished: Condvar,
}

#[derive(Default)]
struct Partition {
    /// In ascending order: the offset, and whether it is answered.
    offsets: VecDeque<(i64, bool)>,
    /// The last offset before which, and at which, everything is answered; none if nothing was since the last look.
    answered: Option<i64>,
    /// Cancelled when what is in flight is somebody else's.
    taken_away: CancellationToken,
}

impl Partition {
    fn finish(&mut self, offset: i64) {
        let Ok(index) = self.offsets.binary_search_by_key(&offset, |(offset, _)| *offset) else { return };
        self.offsets[index].1 = true;
        while let Some((offset, true)) = self.offsets.front() {
            self.answered = Some(*offset);
            self.offsets.pop_front();
        }
    }
}

impl InFlight {
    /// An image was taken. Offsets of a partition come in ascending order; one that does not was delivered again after
    /// a rebalance, and replaces what was known of the partition. The token is cancelled when the image is somebody
    /// else's to answer.
    pub fn begin(&self, partition: i32, offset: i64) -> CancellationToken {
        let mut partitions = self.lock();
        let partition = partitions.entry(partition).or_default();
        if partition.offsets.back().is_some_and(|(last, _)| *last >= offset) {
            partition.taken_away.cancel();
            *partition = Partition::default();
        }
        partition.offsets.push_back((offset, false));
        partition.taken_away.clone()
    }

    /// Its answer was acknowledged by Kafka. Offsets that are not in flight are ignored.
    pub fn finish(&self, partition: i32, offset: i64) {
        if let Some(partition) = self.lock().get_mut(&partition) {
            partition.finish(offset);
        }
        self.finished.notify_all();
    }

    /// Partitions that went on since the last call, with the last offset up to which everything is answered.
    pub fn take_answered(&self) -> Vec<(i32, i64)> {
        let mut partitions = self.lock();
        let went_on =
            partitions.iter_mut().filter_map(|(number, partition)| Some((*number, partition.answered.take()?)));
        went_on.collect()
    }

    /// Waits until these partitions have nothing in flight, for at most `limit`; how many images are still unanswered.
    pub fn drain(&self, revoked: impl Fn(i32) -> bool, limit: Duration) -> usize {
        let left = |partitions: &HashMap<i32, Partition>| -> usize {
            partitions
                .iter()
                .filter(|(number, _)| revoked(**number))
                .map(|(_, partition)| partition.offsets.len())
                .sum()
        };
        let deadline = Instant::now() + limit;
        let mut partitions = self.lock();
        while left(&partitions) > 0 && Instant::now() < deadline {
            let patience = deadline.saturating_duration_since(Instant::now());
            partitions = self.finished.wait_timeout(partitions, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        left(&partitions)
    }

    /// These partitions belong to somebody else now.
    pub fn forget(&self, revoked: impl Fn(i32) -> bool) {
        self.lock().retain(|number, partition| {
            let keep = !revoked(*number);
            if !keep {
                partition.taken_away.cancel();
            }
            keep
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    const ALL: fn(i32) -> bool = |_| true;
    const SOON: Duration = Duration::from_millis(20);

    fn begun(offsets: &[i64]) -> InFlight {
        let in_flight = InFlight::default();
        for offset in offsets {
            in_flight.begin(0, *offset);
        }
        in_flight
    }

    #[test]
    fn an_offset_waits_for_all_before_it() {
        let in_flight = begun(&[5, 6, 7]);
        in_flight.finish(0, 6);
        in_flight.finish(0, 7);
        assert_eq!(in_flight.take_answered(), []);
        in_flight.finish(0, 5);
        assert_eq!(in_flight.take_answered(), [(0, 7)]);
        assert_eq!(in_flight.take_answered(), []);
    }

    #[test]
    fn offsets_may_have_gaps() {
        let in_flight = begun(&[5, 9]);
        in_flight.finish(0, 7);
        in_flight.finish(0, 9);
        in_flight.finish(0, 5);
        assert_eq!(in_flight.take_answered(), [(0, 9)]);
    }

    #[test]
    fn partitions_are_kept_apart() {
        let in_flight = begun(&[5]);
        in_flight.begin(1, 5);
        in_flight.finish(1, 5);
        assert_eq!(in_flight.take_answered(), [(1, 5)]);
        assert_eq!(in_flight.drain(|partition| partition == 1, SOON), 0);
        assert_eq!(in_flight.drain(ALL, SOON), 1);
    }

    #[test]
    fn a_forgotten_partition_is_not_committed() {
        let in_flight = InFlight::default();
        let (taken_away, kept) = (in_flight.begin(0, 5), in_flight.begin(1, 5));
        in_flight.forget(|partition| partition == 0);
        in_flight.finish(0, 5);
        assert_eq!(in_flight.take_answered(), []);
        assert!(taken_away.is_cancelled() && !kept.is_cancelled());
    }

    #[test]
    fn a_record_delivered_again_begins_again() {
        let in_flight = InFlight::default();
        let before = in_flight.begin(0, 5);
        let again = in_flight.begin(0, 5);
        assert!(before.is_cancelled() && !again.is_cancelled());
        in_flight.finish(0, 5);
        assert_eq!(in_flight.take_answered(), [(0, 5)]);
        assert_eq!(in_flight.drain(ALL, SOON), 0);
    }

    #[test]
    fn draining_ends_with_the_last_answer() {
        let in_flight = Arc::new(begun(&[5]));
        let answering = in_flight.clone();
        let thread = thread::spawn(move || {
            thread::sleep(SOON);
            answering.finish(0, 5);
        });
        assert_eq!(in_flight.drain(ALL, Duration::from_secs(10)), 0);
        thread.join().unwrap();
    }
}
