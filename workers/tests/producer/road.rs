//! A road between a producer and its broker that can be cut and blocked.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// Forwards connections to a port of 127.0.0.1. Its threads end with the test program.
pub struct Road {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    travellers: Vec<TcpStream>,
    blocked_until: Option<Instant>,
    /// Nobody is let through any more.
    closed: bool,
}

impl Road {
    pub fn to(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, state) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(State::default())));
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                // Whoever comes while the broker is away is sent back.
                let (client, Ok(server)) = (client.unwrap(), TcpStream::connect(("127.0.0.1", broker))) else {
                    continue;
                };
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                if shared.lock().unwrap().closed {
                    continue;
                }
                let streams = [&client, &server].map(|stream| stream.try_clone().unwrap());
                shared.lock().unwrap().travellers.extend(streams);
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let (there, return_state) = (shared.clone(), shared.clone());
                thread::spawn(move || forward(client, server, &there));
                thread::spawn(move || forward(back.0, back.1, &return_state));
            }
        });
        Self { port, state }
    }

    /// Breaks all connections; new ones are let through.
    pub fn cut(&self) {
        for stream in self.state.lock().unwrap().travellers.drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Breaks all connections, and lets no new ones through.
    pub fn close(&self) {
        self.state.lock().unwrap().closed = true;
        self.cut();
    }

    /// Lets nothing through in either direction for so long, and loses nothing.
    pub fn block(&self, length: Duration) {
        self.state.lock().unwrap().blocked_until = Some(Instant::now() + length);
        thread::sleep(length);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, state: &Mutex<State>) {
    let mut bytes = [0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let until = state.lock().unwrap().blocked_until;
        thread::sleep(until.map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default());
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // One of them may be gone already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
