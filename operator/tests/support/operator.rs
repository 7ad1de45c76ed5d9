//! The operator's controllers, in tasks that can be killed.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use clap::Parser;
use kube::Client;
use tailrace_operator::{context::Context, health, run_controllers, settings::Settings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::{
    mortal::{self, HeldUp},
    namespace::Namespace,
};

/// A running controller. It ends with the test, or when it is killed.
pub struct Operator {
    task: JoinHandle<()>,
    /// Nobody asks it to end in good order.
    _shutdown: CancellationToken,
}

impl Operator {
    /// Starts one of the operator's controllers for the objects of one namespace.
    pub fn start<F>(namespace: &Namespace, controller: impl FnOnce(Arc<Context>, CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::with_client(namespace.client.clone(), namespace, controller)
    }

    /// Starts a controller of an operator that was installed with other settings.
    pub fn with_settings<F>(
        namespace: &Namespace,
        controller: impl FnOnce(Arc<Context>, CancellationToken) -> F,
        change: impl FnOnce(&mut Settings),
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut settings = settings(&namespace.name);
        change(&mut settings);
        Self::with_context(Context::new(namespace.client.clone(), settings), controller)
    }

    /// Starts a controller that makes so many writes and then hangs for ever. Returns when it does, or never.
    pub async fn live_for<F>(
        writes: usize,
        namespace: &Namespace,
        controller: impl FnOnce(Arc<Context>, CancellationToken) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let (operator, held_up) = Self::held_up_after(writes, namespace, controller);
        held_up.reached.notified().await;
        operator.kill().await;
    }

    /// Starts a controller that makes so many writes and waits before the next one until it may go on.
    pub fn held_up_after<F>(
        writes: usize,
        namespace: &Namespace,
        controller: impl FnOnce(Arc<Context>, CancellationToken) -> F,
    ) -> (Self, HeldUp)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (client, held_up) = mortal::client(namespace.client.clone(), &namespace.name, writes);
        (Self::with_client(client, namespace, controller), held_up)
    }

    fn with_client<F>(
        client: Client,
        namespace: &Namespace,
        controller: impl FnOnce(Arc<Context>, CancellationToken) -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::with_context(Context::new(client, settings(&namespace.name)), controller)
    }

    fn with_context<F>(context: Context, controller: impl FnOnce(Arc<Context>, CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // The operator's log goes where the test's own output goes; RUST_LOG chooses from it.
        let _ = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_test_writer().try_init();
        let shutdown = CancellationToken::new();
        Self { task: tokio::spawn(controller(Arc::new(context), shutdown.clone())), _shutdown: shutdown }
    }

    /// Starts the whole operator but its lease, and returns where it answers.
    pub async fn serving(namespace: &Namespace) -> (Self, SocketAddr) {
        let listener = health::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let controllers = |context: Arc<Context>, shutdown: CancellationToken| async move {
            let serving = health::serve(listener, context.clone(), shutdown.clone());
            let (served, ()) = tokio::join!(serving, run_controllers(context, shutdown));
            served.unwrap();
        };
        (Self::with_client(namespace.client.clone(), namespace, controllers), address)
    }

    /// What the operator's controllers work with.
    pub fn context(namespace: &Namespace) -> Arc<Context> {
        Arc::new(Context::new(namespace.client.clone(), settings(&namespace.name)))
    }

    /// Ends it between two instructions, as SIGKILL does: nothing is finished, nothing is told to anybody.
    pub async fn kill(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The status and the body of what a server answers.
pub async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = asked.await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// As the chart gives them.
pub fn settings(watch_namespace: &str) -> Settings {
    Settings::parse_from([
        "tailrace-operator",
        "--worker-image=tailrace-worker:test",
        "--kafka-image=apache/kafka:4.1.1",
        "--mongodb-image=mongo:8.0.20",
        "--ferretdb-image=ferretdb:1.24",
        "--pod-name=tailrace-operator-0",
        "--pod-namespace=default",
        "--watch-namespace",
        watch_namespace,
    ])
}
