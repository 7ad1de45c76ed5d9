//! The way to the API server, which can be cut.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use kube::config::Kubeconfig;

/// A port on loopback behind which the API server is, or nobody.
pub struct Proxy {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// In front of the server of `kubeconfig`, which is changed to lead here.
    pub fn in_front_of(kubeconfig: &mut Kubeconfig) -> Self {
        let server = kubeconfig.clusters[0].cluster.as_mut().unwrap().server.as_mut().unwrap();
        let behind: SocketAddr = server.strip_prefix("https://").unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        *server = format!("https://{address}");
        let proxy = Self { address, is_cut: Arc::default(), connections: Arc::default() };
        let (is_cut, connections) = (proxy.is_cut.clone(), proxy.connections.clone());
        thread::spawn(move || {
            for here in listener.incoming().flatten() {
                if !is_cut.load(Ordering::SeqCst) {
                    connect(here, behind, &connections);
                }
            }
        });
        proxy
    }

    /// Ends all connections; new ones are closed at once.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for connection in self.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }

    /// Whether anybody is connected.
    pub fn is_used(&self) -> bool {
        !self.connections.lock().unwrap().is_empty()
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.address)
    }
}

fn connect(here: TcpStream, behind: SocketAddr, connections: &Mutex<Vec<TcpStream>>) {
    let there = TcpStream::connect(behind).unwrap();
    connections.lock().unwrap().extend([here.try_clone().unwrap(), there.try_clone().unwrap()]);
    for (mut from, mut to) in [(here.try_clone().unwrap(), there.try_clone().unwrap()), (there, here)] {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}
