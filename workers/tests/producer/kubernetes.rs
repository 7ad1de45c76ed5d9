//! A real kube-apiserver, which the tests of the operator have, and a way to cut a producer off from it.
#![allow(dead_code, reason = "the tests of the operator use the rest")]

#[path = "../../../operator/tests/support/api_server.rs"]
mod api_server;
#[path = "../../../operator/tests/support/namespace.rs"]
mod namespace;
#[path = "../../../operator/tests/support/process.rs"]
mod process;

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

pub use api_server::api_server;
pub use namespace::Namespace;
use tempfile::TempDir;

/// A road to the API server that can be closed.
pub struct Road {
    /// None while it is closed.
    travellers: Arc<Mutex<Option<Vec<TcpStream>>>>,
    folder: TempDir,
}

impl Road {
    pub async fn to_api_server() -> Self {
        let mut kubeconfig = api_server().await.kubeconfig().clone();
        let cluster = kubeconfig.clusters[0].cluster.as_mut().unwrap();
        let server = cluster.server.as_ref().unwrap().trim_start_matches("https://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        cluster.server = Some(format!("https://{}", listener.local_addr().unwrap()));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kubeconfig"), serde_yaml_ng::to_string(&kubeconfig).unwrap()).unwrap();

        let travellers = Arc::new(Mutex::new(Some(Vec::new())));
        let admitted = travellers.clone();
        thread::spawn(move || listener.incoming().for_each(|stream| forward(stream.unwrap(), server, &admitted)));
        Self { travellers, folder }
    }

    /// The kubeconfig of who takes this road.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    pub fn close(&self) {
        for stream in self.travellers.lock().unwrap().take().unwrap() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn open(&self) {
        *self.travellers.lock().unwrap() = Some(Vec::new());
    }
}

fn forward(client: TcpStream, server: SocketAddr, travellers: &Mutex<Option<Vec<TcpStream>>>) {
    let mut travellers = travellers.lock().unwrap();
    if let (Some(travellers), Ok(server)) = (travellers.as_mut(), TcpStream::connect(server)) {
        travellers.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
        copy(client.try_clone().unwrap(), server.try_clone().unwrap());
        copy(server, client);
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // Whoever hangs up first, the other one learns of it.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
