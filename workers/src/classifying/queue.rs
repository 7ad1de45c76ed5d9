//! What waits in front of the classifying threads.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// First in, first out. It is filled through entrances that are bounded, each for itself: so memory is bounded, and
/// whoever pushes much through one entrance takes nobody's place at another.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    not_empty: Condvar,
    not_full: Condvar,
    takers: usize,
}

struct State<T> {
    /// Each with the number of its entrance.
    items: VecDeque<(usize, T)>,
    /// How many of each entrance wait.
    waiting: Vec<usize>,
}

/// A way into the queue.
pub struct Entrance<T> {
    queue: Arc<Queue<T>>,
    number: usize,
    capacity: usize,
}

/// There are fewer places than items.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

impl<T> Queue<T> {
    /// `takers` is the number of threads that take batches.
    pub fn new(takers: usize) -> Arc<Self> {
        let state = Mutex::new(State { items: VecDeque::new(), waiting: Vec::new() });
        Arc::new(Self { state, not_empty: Condvar::new(), not_full: Condvar::new(), takers: takers.max(1) })
    }

    /// One more way in, through which so many items may wait.
    pub fn entrance(self: &Arc<Self>, capacity: usize) -> Entrance<T> {
        let mut state = self.lock();
        state.waiting.push(0);
        Entrance { queue: self.clone(), number: state.waiting.len() - 1, capacity: capacity.max(1) }
    }

    /// Waits for an item, then takes what is there, without waiting for more: at most `most`, and no more than this
    /// thread's share, so that no thread idles while another has a long batch.
    pub fn take(&self, most: usize) -> Vec<T> {
        let mut state = self
            .not_empty
            .wait_while(self.lock(), |state| state.items.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let State { items, waiting } = &mut *state;
        let share = items.len().div_ceil(self.takers).min(most);
        let leave = |(entrance, item): (usize, T)| {
            waiting[entrance] -= 1;
            item
        };
        let batch = items.drain(..share).map(leave).collect();
        self.not_full.notify_all();
        batch
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Entrance<T> {
    /// How many items may wait.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Appends an item; waits while there is no place.
    pub fn push(&self, item: T) {
        let full = |state: &mut State<T>| state.waiting[self.number] >= self.capacity;
        let mut state = self.queue.not_full.wait_while(self.queue.lock(), full).unwrap_or_else(PoisonError::into_inner);
        self.append(&mut state, item);
    }

    /// Appends all items, or none of them where there are too few places.
    ///
    /// # Errors
    /// [`Full`].
    pub fn try_push(&self, items: Vec<T>) -> Result<(), Full> {
        let mut state = self.queue.lock();
        if state.waiting[self.number] + items.len() > self.capacity {
            return Err(Full);
        }
        for item in items {
            self.append(&mut state, item);
        }
        Ok(())
    }

    fn append(&self, state: &mut State<T>, item: T) {
        state.items.push_back((self.number, item));
        state.waiting[self.number] += 1;
        self.queue.not_empty.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    #[test]
    fn one_item_alone_is_taken_at_once() {
        let queue = Queue::new(2);
        queue.entrance(10).push(1);
        assert_eq!(queue.take(8), [1]);
    }

    #[test]
    fn a_batch_is_what_waits_shared_among_the_takers() {
        let queue = Queue::new(2);
        let entrance = queue.entrance(100);
        (0..10).for_each(|item| entrance.push(item));
        assert_eq!(queue.take(8), [0, 1, 2, 3, 4]);
        assert_eq!(queue.take(2), [5, 6]);
    }

    #[test]
    fn a_full_entrance_holds_up_who_pushes() {
        let queue = Queue::new(1);
        let entrance = queue.entrance(1);
        entrance.push(1);
        thread::scope(|scope| {
            let pushing = scope.spawn(|| entrance.push(2));
            thread::sleep(Duration::from_millis(50));
            assert!(!pushing.is_finished());
            assert_eq!(queue.take(8), [1]);
        });
        assert_eq!(queue.take(8), [2]);
    }

    #[test]
    fn who_does_not_want_to_wait_is_refused_whole_and_the_other_entrance_stays_open() {
        let queue = Queue::new(1);
        let (one, other) = (queue.entrance(3), queue.entrance(1));
        assert_eq!(one.try_push(vec![1, 2]), Ok(()));
        assert_eq!(one.try_push(vec![3, 4]), Err(Full));
        assert_eq!(other.try_push(vec![5]), Ok(()));
        assert_eq!(queue.take(2), [1, 2]);
        assert_eq!(one.try_push(vec![6, 7, 8]), Ok(()));
        assert_eq!(queue.take(8), [5, 6, 7, 8]);
    }
}
