//! `tailrace-worker` itself, as a process.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Command, ExitStatus},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    eventually, free_port,
    http::{Connection, Response},
    process::Process,
};

/// The model that is part of the repository.
pub const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/resnet20.safetensors");

pub struct Worker {
    pub process: Process,
    port: u16,
    _folder: TempDir,
}

/// A worker that ran to its end.
pub struct Ended {
    pub status: ExitStatus,
    /// Standard output and error.
    pub output: String,
}

impl Worker {
    /// Starts a part that goes on until it is stopped.
    pub fn start(arguments: &[String], environment: &[(&str, String)]) -> Self {
        Self::start_at(free_port(), arguments, environment)
    }

    /// The same, listening on this port.
    fn start_at(port: u16, arguments: &[String], environment: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(arguments, environment);
        command.env("TAILRACE_HTTP_ADDRESS", format!("127.0.0.1:{port}"));
        let process = Process::start(&command, &folder.path().join("worker.log"));
        Self { process, port, _folder: folder }
    }

    /// Starts `inference-server` with the committed model and waits until it is ready.
    pub fn start_server(flags: &[&str]) -> Self {
        Self::start_server_at(free_port(), flags)
    }

    /// The same, listening on this port.
    pub fn start_server_at(port: u16, flags: &[&str]) -> Self {
        let model = format!("--model={MODEL}");
        let arguments: Vec<_> =
            ["inference-server", &model].iter().chain(flags).map(|argument| (*argument).to_owned()).collect();
        let mut server = Self::start_at(port, &arguments, &[]);
        server.wait_until_ready();
        server
    }

    /// A connection of its own.
    pub fn connect(&self) -> Connection {
        Connection::open(self.port)
    }

    /// Sends a request, such as `POST /predict`, on a connection of its own.
    pub fn ask(&self, request: &str, headers: &[&str], body: &[u8]) -> Response {
        self.connect().ask(request, &[headers, &["Connection: close"]].concat(), body)
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs a part that comes to an end by itself.
    pub fn run(arguments: &[String], environment: &[(&str, String)]) -> Ended {
        let output = command(arguments, environment).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        Ended { status: output.status, output: String::from_utf8(text).unwrap() }
    }

    pub fn wait_until_ready(&mut self) {
        eventually("the worker is ready", Duration::from_secs(30), || {
            assert!(self.process.is_running(), "{}", self.process.log());
            self.is_ready().then_some(())
        });
    }

    /// Waits until it is not ready, and returns what it says of itself.
    pub fn wait_until_not_ready(&self, reason: &str, limit: Duration) -> Value {
        eventually(&format!("the worker is not ready for {reason}"), limit, || {
            Some(self.state()).filter(|state| state["ready"] == false && state["reason"] == reason)
        })
    }

    /// What it says of itself; null while nobody listens.
    pub fn state(&self) -> Value {
        let response = self.get("/state").unwrap_or_default();
        let body = response.split_once("\r\n\r\n").map_or("null", |(_, body)| body);
        serde_json::from_str(body).unwrap()
    }

    pub fn is_ready(&self) -> bool {
        self.get("/readyz").is_some_and(|response| response.starts_with("HTTP/1.1 200"))
    }

    /// The value of a series of /metrics, such as `x_total{a="b"}`; 0 where it is not there, or nobody listens yet.
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// A response as it comes; none while nobody listens.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).ok()?;
        Some(response)
    }
}

fn command(arguments: &[String], environment: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailrace-worker"));
    command.args(arguments).envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
    command
}
