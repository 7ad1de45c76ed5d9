//! A server of HTTP/1.1 that is bounded in everything that a client can make it hold: connections, the time of headers
//! and bodies, and the bytes of bodies.

mod bodies;
mod health;
mod metrics;
mod refusal;
mod server;

use std::{net::SocketAddr, time::Duration};

use tailrace_crds::duration::Duration as UserDuration;

pub use bodies::Bodies;
pub use health::health_routes;
pub use metrics::{Metrics, count};
pub use refusal::{Refusal, json};
pub use server::{drained, listen, serve};

/// The flags of every part that takes images over HTTP.
#[derive(clap::Args, Debug)]
#[group(skip)]
pub struct Args {
    /// Where images are taken: POST /predict, and the Open Inference Protocol under /v2. Also /livez, /readyz,
    /// /metrics.
    #[arg(
        id = "http_address",
        long = "http-address",
        env = "TAILRACE_HTTP_ADDRESS",
        value_name = "ADDRESS",
        default_value = "[::]:8080"
    )]
    pub address: SocketAddr,
    /// How many images that came over HTTP wait at most. Beyond that the answer is 429.
    #[arg(long, env = "TAILRACE_MAX_QUEUE", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub max_queue: u32,
    /// The largest body of a request, in bytes. All bodies together are held to four times as much.
    #[arg(long, env = "TAILRACE_MAX_BODY_BYTES", default_value_t = 8 << 20, value_parser = clap::value_parser!(u32).range(4096..=256 << 20))]
    pub max_body_bytes: u32,
    /// How many clients may be connected. Who comes after them waits until one of them leaves.
    #[arg(long, env = "TAILRACE_MAX_CONNECTIONS", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub max_connections: u32,
    /// How long a client may take for its headers, and again for its body, such as 30s; and how long it may stay
    /// connected without asking for anything.
    #[arg(long, env = "TAILRACE_RECEIVE_TIMEOUT", default_value = "30s")]
    pub receive_timeout: UserDuration,
}

impl Args {
    /// What holds for a connection.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { connections: self.max_connections as usize, receive_timeout: self.receive_timeout.get() }
    }
}

/// The flags of every part that shows only its health and its metrics over HTTP.
#[derive(clap::Args, Debug)]
pub struct HealthArgs {
    /// Where /livez, /readyz and /metrics are.
    #[arg(long, env = "TAILRACE_HTTP_ADDRESS", default_value = "[::]:8080")]
    pub http_address: SocketAddr,
}

/// What a client can make the server hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many clients may be connected.
    pub connections: usize,
    /// How long headers may take, and how long a connection may be idle.
    pub receive_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, receive_timeout: Duration::from_secs(30) }
    }
}
