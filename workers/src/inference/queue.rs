//! The images between the consumer and the classifying threads.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use rdkafka::message::OwnedMessage;

/// An image that waits.
pub struct Waiting {
    /// Its record.
    pub record: OwnedMessage,
    /// When it was taken from Kafka.
    pub arrived: Instant,
}

/// A bounded queue. Who pushes into a full one waits, so that memory is bounded and Kafka keeps the rest.
pub struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    not_empty: Condvar,
    not_full: Condvar,
    capacity: usize,
    takers: usize,
}

impl<T> Queue<T> {
    /// `takers` is the number of threads that take batches.
    pub fn new(capacity: usize, takers: usize) -> Self {
        let items = Mutex::new(VecDeque::with_capacity(capacity));
        Self { items, not_empty: Condvar::new(), not_full: Condvar::new(), capacity, takers: takers.max(1) }
    }

    /// Appends an item; waits while the queue is full.
    pub fn push(&self, item: T) {
        let full = |items: &mut VecDeque<T>| items.len() >= self.capacity;
        let mut items = self.not_full.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        items.push_back(item);
        self.not_empty.notify_one();
    }

    /// Waits for an item, then takes what is there, without waiting for more: at most `most`, and no more than this
    /// thread's share, so that no thread idles while another has a long batch.
    pub fn take(&self, most: usize) -> Vec<T> {
        let mut items =
            self.not_empty.wait_while(self.lock(), |items| items.is_empty()).unwrap_or_else(PoisonError::into_inner);
        let share = items.len().div_ceil(self.takers).min(most);
        let batch = items.drain(..share).collect();
        self.not_full.notify_one();
        batch
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    #[test]
    fn one_item_alone_is_taken_at_once() {
        let queue = Queue::new(10, 2);
        queue.push(1);
        assert_eq!(queue.take(8), [1]);
    }

    #[test]
    fn a_batch_is_what_waits_shared_among_the_takers() {
        let queue = Queue::new(100, 2);
        (0..10).for_each(|item| queue.push(item));
        assert_eq!(queue.take(8), [0, 1, 2, 3, 4]);
        assert_eq!(queue.take(2), [5, 6]);
    }

    #[test]
    fn a_full_queue_holds_up_who_pushes() {
        let queue = Queue::new(1, 1);
        queue.push(1);
        thread::scope(|scope| {
            let pushing = scope.spawn(|| queue.push(2));
            thread::sleep(Duration::from_millis(50));
            assert!(!pushing.is_finished());
            assert_eq!(queue.take(8), [1]);
        });
        assert_eq!(queue.take(8), [2]);
    }
}
