//! What keeps a producer from being ready, and saying it to whom it works for.

use std::time::Duration;

use tailrace_crds::producer_report::Waiting;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::coordination::Coordination;
use crate::attempts::Obstacle;

/// When something is said.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// What passes sooner is not worth a word.
    pub first: Duration,
    /// From one word to the next, since there may be a thousand producers and one API server.
    pub between: Duration,
}

/// How often a ProducerReport is written because of what its producer waits for.
pub const PACE: Pace = Pace { first: Duration::from_secs(2), between: Duration::from_secs(5) };
/// What a ProducerReport takes, in characters.
const LONGEST: usize = 1024;

/// Where the threads that wait say for what. Clones speak of the same producer.
#[derive(Clone, Debug)]
pub struct Reasons(watch::Sender<Option<Waiting>>);

impl Reasons {
    /// Nothing is waited for.
    pub fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// This is waited for now, in place of what was before.
    pub fn wait_for(&self, obstacle: &dyn Obstacle) {
        let message: String = obstacle.waiting_for().chars().take(LONGEST).collect();
        let waiting = Some(Waiting { reason: obstacle.reason().to_owned(), message });
        self.0.send_if_modified(|known| {
            let is_new = *known != waiting;
            if is_new {
                tracing::info!("waiting: {}", obstacle.waiting_for());
                *known = waiting;
            }
            is_new
        });
    }

    /// It has come.
    pub fn go_on(&self) {
        self.0.send_if_modified(|known| known.take().is_some());
    }

    /// Says what is waited for, whenever that changes but not too often, until `done`.
    pub async fn say<C: Coordination>(&self, coordination: &C, pace: Pace, done: &CancellationToken) {
        let mut reasons = self.0.subscribe();
        let (mut said, mut pause) = (None, pace.first);
        loop {
            tokio::select! {
                () = done.cancelled() => return,
                changed = reasons.changed() => if changed.is_err() { return },
            }
            tokio::select! {
                () = done.cancelled() => return,
                () = sleep(pause.mul_f64(rand::random_range(0.75..1.25))) => {}
            }
            let now = reasons.borrow_and_update().clone();
            if now == said {
                continue;
            }
            // Not given up half way: it would overtake what is said next.
            if coordination.waits_for(now.as_ref()).await {
                said = now;
            } else {
                reasons.mark_changed();
            }
            pause = pace.between;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Instant};

    use jiff::Timestamp;

    use super::{super::coordination::Progress, *};

    const QUICK: Pace = Pace { first: Duration::from_millis(100), between: Duration::from_millis(200) };
    /// Pauses are shorter by up to a quarter.
    const SHORTEST: Duration = Duration::from_millis(150);

    /// Keeps what is said, and when, but for so many first words.
    #[derive(Default)]
    struct Listener {
        deaf: Mutex<u32>,
        heard: Mutex<Vec<(Instant, Option<String>)>>,
    }

    impl Coordination for Listener {
        async fn claim(&self) -> anyhow::Result<()> {
            Ok(())
        }

        async fn waits_for(&self, waiting: Option<&Waiting>) -> bool {
            let mut deaf = self.deaf.lock().unwrap();
            if *deaf > 0 {
                *deaf -= 1;
                return false;
            }
            self.heard.lock().unwrap().push((Instant::now(), waiting.map(|waiting| waiting.message.clone())));
            true
        }

        async fn common_start(&self) -> anyhow::Result<Timestamp> {
            Ok(Timestamp::now())
        }

        async fn progress(&self, _: Progress) {}

        async fn aborted(&self) {
            std::future::pending().await
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{0} images wait")]
    struct Images(u32);

    impl Obstacle for Images {
        fn reason(&self) -> &'static str {
            "Images"
        }

        fn can_heal(&self) -> bool {
            true
        }
    }

    /// What is heard while `waiting` runs, and when.
    async fn heard(deaf: u32, waiting: impl AsyncFnOnce(&Reasons, &Listener)) -> Vec<(Instant, Option<String>)> {
        let listener = Listener { deaf: Mutex::new(deaf), ..Listener::default() };
        let (reasons, done) = (Reasons::new(), CancellationToken::new());
        let waits = async {
            // Whoever speaks listens first, as at the start of a producer.
            tokio::task::yield_now().await;
            waiting(&reasons, &listener).await;
            done.cancel();
        };
        tokio::join!(reasons.say(&listener, QUICK, &done), waits);
        listener.heard.into_inner().unwrap()
    }

    /// Until so many words are heard.
    async fn until(listener: &Listener, words: usize) {
        while listener.heard.lock().unwrap().len() < words {
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn words(heard: &[(Instant, Option<String>)]) -> Vec<Option<&str>> {
        heard.iter().map(|(_, words)| words.as_deref()).collect()
    }

    #[tokio::test]
    async fn a_reason_that_changes_all_the_time_is_said_now_and_then() {
        let heard = heard(0, async |reasons, listener| {
            let mut left = u32::MAX;
            while listener.heard.lock().unwrap().len() < 4 {
                left -= 1;
                reasons.wait_for(&Images(left));
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        let gaps: Vec<_> = heard.windows(2).map(|two| two[1].0 - two[0].0).collect();
        assert!(gaps.iter().all(|gap| *gap >= SHORTEST), "{gaps:?}");
    }

    #[tokio::test]
    async fn a_reason_that_stays_is_said_once_replaced_and_taken_back() {
        let heard = heard(0, async |reasons, listener| {
            reasons.wait_for(&Images(3));
            until(listener, 1).await;
            for _ in 0..3 {
                reasons.wait_for(&Images(3));
                sleep(2 * QUICK.between).await;
            }
            reasons.wait_for(&Images(2));
            until(listener, 2).await;
            reasons.go_on();
            until(listener, 3).await;
        })
        .await;
        assert_eq!(words(&heard), [Some("3 images wait"), Some("2 images wait"), None]);
    }

    #[tokio::test]
    async fn what_passes_at_once_is_not_said() {
        let heard = heard(0, async |reasons, _| {
            reasons.wait_for(&Images(3));
            reasons.go_on();
            sleep(5 * QUICK.between).await;
        })
        .await;
        assert_eq!(words(&heard), []);
    }

    #[tokio::test]
    async fn what_was_not_heard_is_said_again() {
        let heard = heard(2, async |reasons, listener| {
            reasons.wait_for(&Images(3));
            until(listener, 1).await;
        })
        .await;
        assert_eq!(words(&heard), [Some("3 images wait")]);
    }
}
