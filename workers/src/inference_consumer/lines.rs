//! Images with the same key wait in one line.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A line for each key that has images waiting. Whoever begins a line serves it to its end.
pub struct Lines<K, T> {
    waiting: Mutex<HashMap<K, VecDeque<T>>>,
}

impl<K: Clone + Eq + Hash, T> Lines<K, T> {
    /// No line.
    #[must_use]
    pub fn new() -> Self {
        Self { waiting: Mutex::default() }
    }

    /// Appends to the line of a key; whether this began the line.
    pub fn join(&self, key: K, item: T) -> bool {
        let mut lines = self.lock();
        let line = lines.get_mut(&key);
        let begins = line.is_none();
        match line {
            Some(line) => line.push_back(item),
            None => drop(lines.insert(key, VecDeque::from([item]))),
        }
        begins
    }

    /// The next of a line; where there is none, the line has ended.
    pub fn next(&self, key: &K) -> Option<T> {
        let mut lines = self.lock();
        let next = lines.get_mut(key)?.pop_front();
        if next.is_none() {
            lines.remove(key);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, VecDeque<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_order_and_has_one_who_serves_it() {
        let lines = Lines::new();
        assert!(lines.join("a", 1));
        assert!(!lines.join("a", 2));
        assert!(lines.join("b", 3), "another key has another line");
        assert_eq!(lines.next(&"a"), Some(1));
        assert!(!lines.join("a", 4), "the first is still being served");
        assert_eq!([lines.next(&"a"), lines.next(&"a")], [Some(2), Some(4)]);
        assert!(!lines.join("a", 5), "the last is still being served");
        assert_eq!([lines.next(&"a"), lines.next(&"a")], [Some(5), None]);
        assert!(lines.join("a", 6), "the line had ended");
    }

    #[test]
    fn a_line_that_has_ended_takes_no_memory() {
        let lines = Lines::new();
        for key in 0..1000 {
            lines.join(key, ());
            while lines.next(&key).is_some() {}
        }
        assert!(lines.lock().is_empty());
    }
}
