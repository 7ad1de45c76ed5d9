//! A circuit breaker: while the server is away, no image is sent to it.

use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{sync::watch, time::sleep};

use super::{reply::Reply, trouble::Trouble};
use crate::backoff::Backoff;

/// So many failures without an answer between them open it.
const MOST_FAILURES: u32 = 5;
/// The first and the longest pause between two questions whether the server is ready.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// A failure that comes so long after the one before has nothing to do with it.
const QUIET: Duration = Duration::from_secs(120);

/// Closed at first: images are sent.
pub struct Breaker {
    state: watch::Sender<State>,
    patience: Duration,
    /// 1 while it is open.
    gauge: Gauge,
}

#[derive(Default)]
struct State {
    /// Since the last answer, or since it was closed.
    failures: u32,
    trouble: Option<Span>,
    open: bool,
}

/// The first and the last failure since the last answer.
#[derive(Clone, Copy)]
struct Span {
    begun: Instant,
    last: Instant,
}

impl Breaker {
    /// The server may be away for `patience`.
    #[must_use]
    pub fn new(patience: Duration, gauge: Gauge) -> Self {
        Self { state: watch::Sender::new(State::default()), patience, gauge }
    }

    /// A request has ended. A server that is busy is not away.
    pub fn ended(&self, ended: &Result<Reply, Trouble>) {
        match ended {
            Ok(_) | Err(Trouble::Busy { .. }) => self.answered(),
            Err(trouble) => self.failed(trouble),
        }
    }

    fn answered(&self) {
        let closes = self.state.send_if_modified(|state| std::mem::take(state).open);
        if closes {
            self.show(false);
        }
    }

    fn failed(&self, trouble: &Trouble) {
        let opens = self.state.send_if_modified(|state| {
            state.failures += 1;
            let last = Instant::now();
            let lasting = state.trouble.filter(|trouble| trouble.last.elapsed() < QUIET);
            state.trouble = Some(Span { begun: lasting.map_or(last, |trouble| trouble.begun), last });
            let opens = !state.open && state.failures >= MOST_FAILURES;
            state.open |= opens;
            opens
        });
        if opens {
            tracing::warn!("no image goes to the inference server until it is ready: {trouble}");
            self.show(true);
        }
    }

    /// Waits until images may be sent.
    pub async fn closed(&self) {
        self.until(false).await;
    }

    /// Whenever it is open, asks whether the server is ready, and closes it then. Returns only when the server has not
    /// answered an image for too long, and says so.
    pub async fn watch<R: Future<Output = Result<(), Trouble>>>(&self, ready: impl Fn() -> R) -> String {
        let mut backoff = Backoff::new(PAUSES[0], PAUSES[1]);
        let mut known = None;
        loop {
            self.until(true).await;
            // A server that says that it is ready and answers no image is not asked in haste.
            let begun = self.state.borrow().trouble.map(|trouble| trouble.begun);
            if begun != known {
                backoff.reset();
                known = begun;
            }
            sleep(backoff.delay()).await;
            let lasts = begun.map(|begun| begun.elapsed()).unwrap_or_default();
            match ready().await {
                _ if !self.state.borrow().open => {}
                error if lasts > self.patience => return self.given_up(error.err()),
                Ok(()) => self.close(lasts),
                Err(error) => tracing::debug!("the inference server is not ready: {error}"),
            }
        }
    }

    fn given_up(&self, error: Option<Trouble>) -> String {
        let why = error.map_or_else(|| "it says that it is ready".to_owned(), |error| error.to_string());
        format!("the inference server has answered no image for {:.0?}: {why}", self.patience)
    }

    /// The trouble is over only with the first answer.
    fn close(&self, lasted: Duration) {
        self.state.send_modify(|state| {
            state.open = false;
            state.failures = 0;
        });
        tracing::info!("the inference server is ready after {lasted:.1?}");
        self.show(false);
    }

    async fn until(&self, open: bool) {
        // Its sender lives as long as `self`.
        let _ = self.state.subscribe().wait_for(|state| state.open == open).await;
    }

    fn show(&self, open: bool) {
        self.gauge.set(open.into());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::ready,
        sync::atomic::{AtomicU32, Ordering},
    };

    use tokio::{runtime::Runtime, time::timeout};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const MOMENT: Duration = Duration::from_millis(30);

    fn away() -> Trouble {
        Trouble::Unreachable("connection refused".to_owned())
    }

    fn open(breaker: &Breaker) {
        (0..MOST_FAILURES).for_each(|_| breaker.failed(&away()));
    }

    fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        Runtime::new().unwrap().block_on(async { timeout(limit, future).await.ok() })
    }

    #[test]
    fn it_opens_with_the_fifth_failure_in_a_row() {
        let breaker = Breaker::new(LONG, Gauge::default());
        (1..MOST_FAILURES).for_each(|_| breaker.failed(&away()));
        breaker.answered();
        (1..MOST_FAILURES).for_each(|_| breaker.failed(&away()));
        assert!(within(MOMENT, breaker.closed()).is_some());
        breaker.failed(&away());
        assert!(within(MOMENT, breaker.closed()).is_none());
        assert_eq!(breaker.gauge.get(), 1);
    }

    #[test]
    fn an_answer_closes_it() {
        let breaker = Breaker::new(LONG, Gauge::default());
        open(&breaker);
        breaker.answered();
        assert!(within(MOMENT, breaker.closed()).is_some());
        assert_eq!(breaker.gauge.get(), 0);
    }

    #[test]
    fn a_server_that_is_ready_again_closes_it() {
        let breaker = Breaker::new(LONG, Gauge::default());
        open(&breaker);
        let asked = AtomicU32::new(0);
        let answer = || ready(if asked.fetch_add(1, Ordering::Relaxed) < 2 { Err(away()) } else { Ok(()) });
        let closed = async {
            tokio::select! {
                gave_up = breaker.watch(answer) => panic!("{gave_up}"),
                () = breaker.closed() => {}
            }
        };
        assert!(within(LONG, closed).is_some());
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_server_that_stays_away_is_given_up() {
        let breaker = Breaker::new(Duration::from_millis(200), Gauge::default());
        open(&breaker);
        let gave_up = within(LONG, breaker.watch(|| ready(Err(away())))).unwrap();
        assert_eq!(
            gave_up,
            "the inference server has answered no image for 200ms: it cannot be reached: connection refused"
        );
    }

    #[test]
    fn a_server_that_says_it_is_ready_and_answers_no_image_is_given_up_too() {
        let breaker = Breaker::new(Duration::from_millis(200), Gauge::default());
        open(&breaker);
        let gave_up = async {
            let failing = async {
                loop {
                    breaker.closed().await;
                    open(&breaker);
                    sleep(MOMENT).await;
                }
            };
            tokio::select! {
                gave_up = breaker.watch(|| ready(Ok(()))) => gave_up,
                () = failing => unreachable!(),
            }
        };
        assert!(within(LONG, gave_up).unwrap().ends_with("it says that it is ready"));
    }
}
