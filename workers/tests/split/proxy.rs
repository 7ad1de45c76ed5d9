//! A network between the bridge and the server that can break.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Bytes at the end of a file that the network does not let through.
pub const POISON: &[u8] = b"--poison--";

/// What happens to a connection that carries [`POISON`].
#[derive(Clone, Copy)]
pub enum Fault {
    /// It breaks.
    Breaks,
    /// Nothing comes through any more.
    Stalls,
}

/// Forwards connections to a port of 127.0.0.1.
pub struct Proxy {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    /// Its threads end with the test program.
    pub fn start(server: u16, fault: Option<Fault>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, connections) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let counted = connections.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                counted.fetch_add(1, Ordering::Relaxed);
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || forward(client, server, fault));
                thread::spawn(move || forward(back.0, back.1, None));
            }
        });
        Self { port, connections }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many there have been.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, fault: Option<Fault>) {
    let (mut bytes, mut tail) = ([0; 1 << 16], Vec::new());
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        // The poison may come in two pieces.
        tail.extend_from_slice(&bytes[..count]);
        match fault {
            Some(fault) if tail.windows(POISON.len()).any(|window| window == POISON) => match fault {
                Fault::Breaks => break,
                Fault::Stalls => continue,
            },
            _ => {}
        }
        tail.drain(..tail.len().saturating_sub(POISON.len()));
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // One of them may be gone already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
