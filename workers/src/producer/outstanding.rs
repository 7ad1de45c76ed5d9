//! The images of a closed load that wait for their answers, and when others follow them.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::plan::Closed;

/// How long after a failed send another image follows: a Kafka that refuses all of them at once is not flooded.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// Each image that is answered, given up or could not be sent is followed by another one after the think time. All
/// times count from the common start.
#[derive(Debug)]
pub struct Outstanding {
    think_time: Duration,
    end: Duration,
    patience: Duration,
    /// When the next images are intended, in ascending order.
    due: VecDeque<Duration>,
    /// Until when the answer of an image is waited for. Images are numbered in the order in which they are sent.
    deadlines: BTreeMap<u64, Duration>,
}

impl Outstanding {
    /// All are due at the start. No image is intended for `end` or later; each is waited for as long as `patience`.
    pub fn new(closed: Closed, end: Duration, patience: Duration) -> Self {
        let due = (0..closed.outstanding).map(|_| Duration::ZERO).collect();
        Self { think_time: closed.think_time, end, patience, due, deadlines: BTreeMap::new() }
    }

    /// No further image is sent.
    pub fn end_at(&mut self, end: Duration) {
        self.end = end;
        self.due.clear();
    }

    /// The intended send time of an image whose time has come.
    pub fn due(&mut self, now: Duration) -> Option<Duration> {
        let first = *self.due.front()?;
        (first <= now).then(|| self.due.pop_front()).flatten()
    }

    /// An image was sent.
    pub fn sent(&mut self, sequence: u64, intended: Duration) {
        self.deadlines.insert(sequence, intended + self.patience);
    }

    /// An image was answered. One that was given up before is followed already.
    pub fn answered(&mut self, sequence: u64, at: Duration) {
        if self.deadlines.remove(&sequence).is_some() {
            self.follow(at);
        }
    }

    /// An image could not be sent: its place is free.
    pub fn failed(&mut self, sequence: u64, at: Duration) {
        if self.deadlines.remove(&sequence).is_some() {
            self.follow(at + AFTER_FAILURE.saturating_sub(self.think_time));
        }
    }

    /// Takes out the images that are not waited for any more.
    pub fn overdue(&mut self, now: Duration) -> Vec<u64> {
        let mut overdue = Vec::new();
        while let Some(entry) = self.deadlines.first_entry()
            && *entry.get() <= now
        {
            overdue.push(*entry.key());
            entry.remove();
        }
        overdue.iter().for_each(|_| self.follow(now));
        overdue
    }

    /// Whether no image waits for its answer.
    pub fn is_empty(&self) -> bool {
        self.deadlines.is_empty()
    }

    /// When an image is due or overdue next; none when all is over.
    pub fn next_event(&self) -> Option<Duration> {
        let deadline = self.deadlines.first_key_value().map(|(_, deadline)| *deadline);
        self.due.front().copied().into_iter().chain(deadline).min()
    }

    /// In the order of time, also where a failure is waited for longer than an answer after it.
    fn follow(&mut self, answered: Duration) {
        let intended = answered + self.think_time;
        if intended < self.end {
            let later = self.due.partition_point(|due| *due <= intended);
            self.due.insert(later, intended);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Duration = Duration::from_secs(10);
    const PATIENCE: Duration = Duration::from_secs(3);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn outstanding(outstanding: u32, think_time: Duration) -> Outstanding {
        Outstanding::new(Closed { outstanding, think_time }, END, PATIENCE)
    }

    /// Sends all that is due.
    fn send(outstanding: &mut Outstanding, next: &mut u64, now: Duration) -> usize {
        let mut sent = 0;
        while let Some(intended) = outstanding.due(now) {
            outstanding.sent(*next, intended);
            *next += 1;
            sent += 1;
        }
        sent
    }

    #[test]
    fn so_many_are_sent_at_the_start_and_one_for_each_answer() {
        let (mut outstanding, mut next) = (outstanding(3, Duration::ZERO), 0);
        assert_eq!(send(&mut outstanding, &mut next, millis(0)), 3);
        outstanding.answered(1, millis(5));
        assert_eq!(outstanding.due(millis(6)), Some(millis(5)), "intended when the answer came");
        assert_eq!(outstanding.due(millis(6)), None);
    }

    #[test]
    fn an_image_follows_its_answer_after_the_think_time() {
        let (mut outstanding, mut next) = (outstanding(1, millis(100)), 0);
        send(&mut outstanding, &mut next, millis(0));
        outstanding.answered(0, millis(5));
        assert_eq!(outstanding.due(millis(104)), None);
        assert_eq!(outstanding.next_event(), Some(millis(105)));
        assert_eq!(outstanding.due(millis(107)), Some(millis(105)));
    }

    #[test]
    fn an_image_without_an_answer_is_given_up_and_followed_once() {
        let (mut outstanding, mut next) = (outstanding(2, Duration::ZERO), 0);
        send(&mut outstanding, &mut next, millis(0));
        outstanding.answered(1, millis(1));
        send(&mut outstanding, &mut next, millis(1));
        assert_eq!(outstanding.next_event(), Some(PATIENCE));
        assert_eq!(outstanding.overdue(PATIENCE), [0]);
        outstanding.answered(0, PATIENCE + millis(1));
        assert_eq!(send(&mut outstanding, &mut next, PATIENCE + millis(1)), 1);
    }

    #[test]
    fn a_failed_send_frees_its_place_at_once() {
        let (mut outstanding, mut next) = (outstanding(2, Duration::ZERO), 0);
        send(&mut outstanding, &mut next, millis(0));
        outstanding.failed(0, millis(1));
        outstanding.answered(1, millis(2));
        assert_eq!(outstanding.next_event(), Some(millis(2)), "what is answered is followed first");
        assert_eq!(send(&mut outstanding, &mut next, millis(11)), 2);
        outstanding.answered(0, millis(12));
        outstanding.failed(0, millis(12));
        assert_eq!(send(&mut outstanding, &mut next, millis(100)), 0, "it is followed once");
    }

    #[test]
    fn after_a_failed_send_the_think_time_is_kept_too() {
        let (mut outstanding, mut next) = (outstanding(1, millis(100)), 0);
        send(&mut outstanding, &mut next, millis(0));
        outstanding.failed(0, millis(5));
        assert_eq!((outstanding.is_empty(), outstanding.next_event()), (true, Some(millis(105))));
    }

    #[test]
    fn nothing_follows_a_failed_send_at_the_end() {
        let (mut outstanding, mut next) = (outstanding(1, Duration::ZERO), 0);
        send(&mut outstanding, &mut next, millis(0));
        outstanding.failed(0, END);
        assert_eq!(outstanding.next_event(), None);
    }

    #[test]
    fn nothing_follows_at_the_end_and_what_is_outstanding_is_waited_for() {
        let (mut outstanding, mut next) = (outstanding(2, Duration::ZERO), 0);
        send(&mut outstanding, &mut next, millis(0));
        outstanding.answered(0, END);
        assert_eq!(outstanding.next_event(), Some(PATIENCE));
        outstanding.answered(1, END + millis(1));
        assert_eq!(outstanding.next_event(), None);
    }

    #[test]
    fn after_an_early_end_nothing_more_is_sent() {
        let (mut outstanding, mut next) = (outstanding(2, millis(100)), 0);
        send(&mut outstanding, &mut next, millis(0));
        outstanding.answered(0, millis(5));
        outstanding.end_at(millis(50));
        outstanding.answered(1, millis(60));
        assert_eq!((outstanding.due(millis(200)), outstanding.next_event()), (None, None));
    }
}
