//! What the worker tests stand on: a genuine Kafka, a genuine database and the worker itself, each a process on
//! loopback that ends with its test.
#![allow(dead_code, unused_imports, reason = "no test uses all of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the helpers of a test may fail it")]

pub mod broker;
pub mod database;
pub mod http;
pub mod process;
pub mod records;
pub mod stubborn;
pub mod worker;

use std::{
    env,
    net::TcpListener,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

pub use broker::Broker;
pub use database::Database;
pub use records::{Pipeline, image_file, raw_pixels, sample};
pub use stubborn::StubbornDatabase;
pub use worker::Worker;

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A file of the third-party software in the cache.
pub fn third_party(path: &str) -> PathBuf {
    let cache = env::var_os("TAILRACE_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        let caches = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        caches.unwrap_or_else(|| PathBuf::from(env::var_os("HOME").unwrap()).join(".cache")).join("tailrace")
    });
    let file = cache.join(path);
    assert!(file.exists(), "{} is missing: run third-party/build kafka ferretdb", file.display());
    file
}

/// Asks until there is an answer, for at most `limit`.
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
