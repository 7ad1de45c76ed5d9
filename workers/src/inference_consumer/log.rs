//! What is said of requests that are made again.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::trouble::Trouble;

/// One line stands for all of so long.
const INTERVAL: Duration = Duration::from_secs(5);

/// Says why requests are made again, and not for each of them: there may be thousands a second.
#[derive(Default)]
pub struct Log {
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    last: Option<Instant>,
    unsaid: u64,
}

impl Log {
    /// A request will be made again.
    pub fn retry(&self, trouble: &Trouble) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            said.unsaid += 1;
            return;
        }
        let unsaid = std::mem::take(&mut said.unsaid);
        said.last = Some(Instant::now());
        drop(said);
        tracing::warn!("an image is sent to the inference server again: {trouble} ({unsaid} more since the last time)");
    }
}
